package execfn

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/glob"
	"github.com/frayrpc/fray/internal/outgoing"
)

// passedAlways are the variables of the worker's own environment that every command sees: where
// programs and the user's files are, and how people there write.
var passedAlways = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR"}

// environ returns the environment of a command: what of the worker's own it sees, then what its
// user changes of that, then what its task's job and gang give, and its task. Of entries with one name, the last
// counts.
func (cfg *Config) environ(c *Command, given []string) []string {
	passed := []string{} // not nil, which would stand for the whole environment
	for _, entry := range (&exec.Cmd{}).Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if name != outgoing.TokenVariable && (describe(passedAlways, name) || describe(cfg.PassEnv, name)) {
			passed = append(passed, entry)
		}
	}
	passed = append(passed, cfg.User.environ()...)
	passed = append(passed, given...)
	if c.Dir != "" {
		passed = append(passed, "PWD="+c.Dir)
	}
	return append(passed, c.Env...)
}

// given returns what the job and the gang of a command's task have it see.
func given(ctx context.Context, info fray.TaskInfo) []string {
	job := fray.Environment(ctx)
	entries := make([]string, 0, len(job))
	for _, name := range slices.Sorted(maps.Keys(job)) {
		entries = append(entries, name+"="+job[name])
	}
	if g := info.Gang; g.Size > 0 {
		entries = append(entries, "FRAY_GANG_ID="+g.ID, fmt.Sprintf("FRAY_GANG_INDEX=%d", g.Index), fmt.Sprintf("FRAY_GANG_SIZE=%d", g.Size))
	}
	return entries
}

// describe reports whether one of the patterns describes the name of a variable.
func describe(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return glob.Match(pattern, name) })
}
