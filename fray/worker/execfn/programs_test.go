//go:build unix

package execfn_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

const executable = 0o755

// newTool writes a script that prints how it was called.
func newTool(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), executable); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho tool \"$0\"\n"), executable); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestProgramsAreComparedByTheirPathsWithoutLinks(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tool, other, odd := filepath.Join(dir, "bin/tool"), filepath.Join(dir, "bin/sub/other"), filepath.Join(dir, "odd[1]/tool")
	for _, path := range []string{tool, other, odd} {
		newTool(t, path)
	}
	alias, folder := filepath.Join(dir, "alias"), filepath.Join(dir, "folder")
	link(t, tool, alias)
	link(t, filepath.Join(dir, "bin"), folder)
	for name, tt := range map[string]struct {
		allow   string
		command execfn.Command
		runs    string // the script that runs; empty: the program is refused
		refused string // as it is named
	}{
		"its path":                    {tool, execfn.Command{Argv: []string{tool}}, tool, ""},
		"another":                     {tool, execfn.Command{Argv: []string{other}}, "", other},
		"below the directory":         {tool, execfn.Command{Argv: []string{"./tool"}, Dir: dir + "/bin"}, tool, ""},
		"a link to what is allowed":   {tool, execfn.Command{Argv: []string{alias}}, tool, ""},
		"a link that is allowed":      {alias, execfn.Command{Argv: []string{tool}}, tool, ""},
		"a pattern":                   {dir + "/bin/*", execfn.Command{Argv: []string{tool}}, tool, ""},
		"a pattern is for one level":  {dir + "/bin/*", execfn.Command{Argv: []string{other}}, "", other},
		"a pattern behind a link":     {folder + "/*", execfn.Command{Argv: []string{folder + "/tool"}}, tool, ""},
		"a pattern of another folder": {dir + "/*", execfn.Command{Argv: []string{tool}}, "", tool},
		"brackets in a path":          {dir + "/odd[[]1]/*", execfn.Command{Argv: []string{odd}}, odd, ""},
		"a name that is not allowed":  {tool, execfn.Command{Argv: []string{"sh", "-c", "true"}}, "", "sh"},
		"dots":                        {dir + "/odd/../bin/tool", execfn.Command{Argv: []string{dir + "/bin/sub/../tool"}}, tool, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			programs, err := execfn.NewPrograms([]string{tt.allow})
			if err != nil {
				t.Fatal(err)
			}
			got, err := invokeWith(t.Context(), t, execfn.Config{Programs: programs}, tt.command)
			if tt.runs != "" {
				if err != nil || string(got.Stdout) != "tool "+tt.runs+"\n" {
					t.Errorf("got %q, %v", got.Stdout, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.refused+": none of its --exec-allow names it") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRefusedProgramIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	programs, err := execfn.NewPrograms([]string{"true"})
	if err != nil {
		t.Skip(err)
	}
	jc, err := fray.NewJobContext(t.Context(), fray.KindSync)
	if err != nil {
		t.Fatal(err)
	}
	defer jc.Close()
	ctx := fray.NewContext(t.Context(), jc)
	_, err = execfn.New(execfn.Config{Programs: programs}).Call(ctx, execfn.Command{Argv: sh("echo")}, fray.WithRetries(3))
	var failed *fray.TaskError
	if !errors.As(err, &failed) || failed.Attempt != 1 {
		t.Errorf("error %+v, want that of the first attempt", err)
	}
}

func TestProgramsThatCannotBeAllowed(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"":                  "it is empty",
		"no-such-program":   "look it up in PATH: executable file not found",
		"/nosuch/program":   "no such file",
		"bin/tool":          "its path is not absolute",
		"/bin/[":            "is a bracket open?",
		"/nosuch/*/program": "/nosuch: no such file",
	} {
		if _, err := execfn.NewPrograms([]string{"/bin/sh", entry}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", entry, err, want)
		}
	}
	if _, err := execfn.NewPrograms(slices.Repeat([]string{"/bin/sh"}, 5000)); err == nil || !strings.Contains(err.Error(), "at most 4096") {
		t.Errorf("error %v", err)
	}
}
