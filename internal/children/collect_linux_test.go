package children

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A look that waited for a child itself would take its exit code from who started it.
func TestLookForEndedChildrenCollectsNone(t *testing.T) { // A process has one set of children.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "exit 7")
	for anyEnded() { // Other tests' orphans.
		if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := Start(cmd); err != nil {
		t.Fatal(err)
	}
	for !anyEnded() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the end of the child is not seen")
		}
	}
	if !anyEnded() {
		t.Error("the child is gone after a look at it")
	}
	if err := Wait(cmd); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("waiting for it ended with %v", err)
	}
	if anyEnded() {
		t.Error("a child that was waited for has ended still")
	}
}
