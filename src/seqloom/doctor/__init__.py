"""The doctor: looks at a training before it begins, and says in a sentence each what it finds."""

from seqloom.doctor.diagnosis import consult as consult
from seqloom.doctor.diagnosis import diagnose as diagnose
from seqloom.doctor.examination import examine as examine
from seqloom.doctor.findings import Finding as Finding
