package reread_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/internal/reread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestValueFollowsItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		loads := 0
		v, err := reread.New(slog.New(slog.NewTextHandler(&log, nil)), "test", func() (string, error) {
			loads++
			text, err := reread.File(path)
			if string(text) == "bad" {
				err = errors.New("it is bad")
			}
			return string(text), err
		}, path, "")
		if err != nil || v.Get() != "one" {
			t.Fatalf("%q, %v", v.Get(), err)
		}
		for _, step := range []struct{ write, want, log string }{
			{"two!", "two!", "read again"}, {"bad", "two!", "it is bad"}, {"three", "three", "read again"},
		} {
			write(t, path, step.write)
			before := v.Get()
			if within := v.Get(); within != before {
				t.Errorf("it is looked at twice in a second: %q, then %q", before, within)
			}
			time.Sleep(time.Second)
			if got := v.Get(); got != step.want || !strings.Contains(log.String(), step.log) {
				t.Errorf("after %q it is %q, want %q; the log is %s", step.write, got, step.want, log.String())
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		n := loads
		for range 10 {
			if got := v.Get(); got != "three" {
				t.Errorf("without its file it is %q", got)
			}
			time.Sleep(time.Second)
		}
		if loads > n+1 {
			t.Errorf("a file that stays away is loaded %d times", loads-n)
		}
	})
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, strings.Repeat("x", reread.MaxBytes+1))
	if _, err := reread.File(path); err == nil || !strings.Contains(err.Error(), "at most 1048576 are allowed") {
		t.Errorf("a large file: %v", err)
	}
	if _, err := reread.File(path + "-not"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
