//go:build unix

package execfn_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

func TestCommandsSeeOfTheEnvironmentWhatIsPassed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"CUDA_HOME", "CUDA", "AWS_SECRET_ACCESS_KEY", "FRAY_TOKEN", "LC_TIME", "TMPDIR", "HOME"} {
		t.Setenv(name, name+" of the worker")
	}
	for name, tt := range map[string]struct {
		pass    []string
		command execfn.Command
		want    []string // entries that are there
		not     []string // names that are not
	}{
		"the usual": {
			nil,
			execfn.Command{},
			[]string{"LC_TIME=LC_TIME of the worker", "TMPDIR=TMPDIR of the worker", "HOME=HOME of the worker"},
			[]string{"CUDA_HOME", "CUDA", "AWS_SECRET_ACCESS_KEY", "FRAY_TOKEN", "PWD"},
		},
		"by a pattern": {
			[]string{"CUDA_*"}, execfn.Command{}, []string{"CUDA_HOME=CUDA_HOME of the worker"}, []string{"CUDA", "AWS_SECRET_ACCESS_KEY"},
		},
		"all but the secret of the cluster": {
			[]string{"*", "FRAY_TOKEN"},
			execfn.Command{},
			[]string{"CUDA=CUDA of the worker", "AWS_SECRET_ACCESS_KEY=AWS_SECRET_ACCESS_KEY of the worker"},
			[]string{"FRAY_TOKEN"},
		},
		"what the task gives": {
			nil,
			execfn.Command{Env: []string{"HOME=/given", "CUDA=given", "FRAY_TOKEN=given"}},
			[]string{"HOME=/given", "CUDA=given", "FRAY_TOKEN=given"},
			[]string{"CUDA_HOME"},
		},
		"the directory": {[]string{"*"}, execfn.Command{Dir: dir}, []string{"PWD=" + dir}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tt.command.Argv = []string{"env"}
			got, err := invokeWith(t.Context(), t, execfn.Config{PassEnv: tt.pass}, tt.command)
			if err != nil {
				t.Fatal(err)
			}
			entries := strings.Split(strings.TrimSuffix(string(got.Stdout), "\n"), "\n")
			for _, want := range tt.want {
				if !slices.Contains(entries, want) {
					t.Errorf("%q is not in %q", want, entries)
				}
			}
			for _, entry := range entries {
				if name, _, _ := strings.Cut(entry, "="); slices.Contains(tt.not, name) {
					t.Errorf("%q is there", entry)
				}
			}
		})
	}
}

// A job's variables come before what its task gives, and after what the worker's own environment has.
func TestCommandsSeeTheEnvironmentOfTheirJob(t *testing.T) {
	t.Setenv("HOME", "of the worker")
	dir := t.TempDir()
	ctx := attempt.WithInfo(t.Context(), attempt.Environment{
		"HOME": "of the job", "B": "of the job",
		"PWD": "of the job", "C": "1=2 3",
	})
	got, err := invokeWith(ctx, t, execfn.Config{}, execfn.Command{
		Argv: []string{"env"}, Dir: dir,
		Env: []string{"B=of the task"},
	})
	if err != nil {
		t.Fatal(err)
	}
	entries := strings.Split(strings.TrimSuffix(string(got.Stdout), "\n"), "\n")
	for _, want := range []string{"HOME=of the job", "B=of the task", "PWD=" + dir, "C=1=2 3"} {
		if !slices.Contains(entries, want) {
			t.Errorf("%q is not in %q", want, entries)
		}
	}
}
