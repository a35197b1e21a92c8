package command

import "testing"

func TestWorkerNamesAreValidAndDiffer(t *testing.T) {
	t.Parallel()
	a, b := WorkerName(), WorkerName()
	if a == b || a == "" || notInName.MatchString(a) {
		t.Errorf("names %q and %q", a, b)
	}
}
