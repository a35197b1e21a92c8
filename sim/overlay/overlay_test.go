package overlay_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/overlay"
)

// installed returns the toolchain that runs this test.
func installed(t *testing.T) overlay.Toolchain {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	return overlay.Toolchain{Root: lines[0], Version: lines[1]}
}

// replaced returns what an overlay lays over what.
func replaced(t *testing.T, list string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var read struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read.Replace
}

// copied returns a toolchain that has just the files that are edited.
func copied(t *testing.T, from overlay.Toolchain, list string) overlay.Toolchain {
	t.Helper()
	to := from
	to.Root = t.TempDir()
	for file := range replaced(t, list) {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // It is a new one.
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(to.Root, strings.TrimPrefix(file, from.Root))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestWrite(t *testing.T) {
	t.Parallel()
	toolchain, dir := installed(t), t.TempDir()
	list, err := overlay.Write(toolchain, dir)
	if err != nil {
		t.Fatal(err)
	}
	files := replaced(t, list)
	if len(files) < 15 {
		t.Errorf("only %d files are edited", len(files))
	}
	for over, file := range files {
		if !strings.HasPrefix(over, toolchain.Root) || !strings.HasPrefix(file, dir) {
			t.Errorf("%s over %s", file, over)
		}
	}
	// What somebody has broken is written anew, in the same place.
	var broken string
	for _, broken = range files {
		break
	}
	before, _ := os.ReadFile(broken)
	if err := os.WriteFile(broken, before[:len(before)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := overlay.Write(toolchain, dir)
	if err != nil || again != list {
		t.Errorf("got %s, %v, want %s", again, err, list)
	}
	if after, _ := os.ReadFile(broken); !bytes.Equal(after, before) {
		t.Error("half a file was left")
	}
}

// Sources that are not those that the edits were made for are refused, with the lines that are missing.
func TestChangedSourcesAreRefused(t *testing.T) {
	t.Parallel()
	toolchain := installed(t)
	list, err := overlay.Write(toolchain, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file, old, changed string
		want               string
	}{
		"a line":  {"runtime/select.go", "cheaprandn(uint32(norder + 1))", "cheaprandn(uint32(1 + norder))", "edit runtime/select.go: these lines are there 0 times"},
		"atomics": {"sync/atomic/value.go", "func (v *Value)", "func (value *Value)", "edit sync/atomic/value.go: it has 0 methods"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := copied(t, toolchain, list)
			file := filepath.Join(other.Root, "src", test.file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), test.old, test.changed)), 0o600); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			_, err = overlay.Write(other, dir)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), other.Root) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Error("something was written all the same")
			}
		})
	}
}

func TestToolchainsAreRefused(t *testing.T) {
	t.Parallel()
	toolchain := installed(t)
	for name, test := range map[string]struct {
		edit func(*overlay.Toolchain)
		want string
	}{
		"older":    {func(c *overlay.Toolchain) { c.Version = "go1.24.3" }, "toolchain go1.24.3 at"},
		"newer":    {func(c *overlay.Toolchain) { c.Version = "go1.99" }, "is not one of go1.25 to go1.27"},
		"unknown":  {func(c *overlay.Toolchain) { c.Version = "devel go1.27-abcdef" }, "is not one of"},
		"gone":     {func(c *overlay.Toolchain) { c.Root = filepath.Join(t.TempDir(), "none") }, "no such file"},
		"a module": {func(c *overlay.Toolchain) { c.ModCache = filepath.Dir(c.Root) }, "lays nothing over those"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := toolchain
			test.edit(&other)
			if _, err := overlay.Write(other, t.TempDir()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
