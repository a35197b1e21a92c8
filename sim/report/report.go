// Package report tells what came of runs: of one run as text for people, of the seeds of a sweep as
// totals, and of either as the XML that CI systems read. It formats an engine.Result and decides
// nothing.
package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/frayrpc/fray/sim/engine"
)

// A Subject is what seeds are run of, as the user named it to fray-sim.
type Subject struct {
	// Called is what the user calls it, and Name what it calls itself.
	Called, Name string
	// Args are those of the command line that name it.
	Args []string
	// Program is the command that runs it. "": fray-sim.
	Program string
	// Replay returns the command line for a seed. Nil: that of the program, with Args.
	Replay func(seed uint64) string
	// Tell and Sum are those of [engine.Subject].
	Tell func(engine.Facts) []engine.Line
	Sum  func() engine.Sum
}

// Command returns the command line that runs a seed, in virtual time.
func (s Subject) Command(seed uint64) string {
	if s.Replay != nil {
		return s.Replay(seed)
	}
	return fmt.Sprintf("%s %s --seed %d", cmp.Or(s.Program, "fray-sim"), strings.Join(s.Args, " "), seed)
}
