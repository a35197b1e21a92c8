package retryid_test

import (
	"testing"

	"github.com/frayrpc/fray/internal/retryid"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for task, want := range map[string]string{
		"a": "a/retry-r", "a/retry-x1": "a/retry-r", "a/retry-x1/b": "a/retry-x1/b/retry-r", "a/retry-": "a/retry-/retry-r",
		"a/retry-no.name": "a/retry-no.name/retry-r", "/retry-x": "/retry-x/retry-r", "a/retry-abcdefghijklmnopq": "a/retry-abcdefghijklmnopq/retry-r",
	} {
		if got := retryid.Of(task, "r"); got != want {
			t.Errorf("%q is retried as %q, want %q", task, got, want)
		}
		if got := retryid.Of(task, "r"); retryid.First(got) != retryid.First(task) {
			t.Errorf("the first of %q is %q", got, retryid.First(got))
		}
	}
	for name, want := range map[string]bool{"r": true, "0123456789abcdeF": true, "": false, "0123456789abcdefg": false, "a-b": false} {
		if retryid.IsName(name) != want {
			t.Errorf("%q is a name: %v", name, !want)
		}
	}
}
