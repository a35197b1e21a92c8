package maprun

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/frayrpc/fray/cmd/fray/internal/mapplan"
	"github.com/frayrpc/fray/cmd/fray/internal/screen"
	"github.com/frayrpc/fray/fray"
)

// Config is what a run is given.
type Config struct {
	// Template is the command that is run for each of Jobs, in the directory Dir; empty: the worker's.
	Template mapplan.Template
	// Jobs yields them one after the other, and ends with the first error.
	Jobs iter.Seq2[mapplan.Job, error]
	// Bounded jobs can be read to their end in no longer than a file takes. Total is how many there are; 0: it
	// is not known before.
	Bounded bool
	Total   int
	Dir     string
	// Skip says of the number of a job whether it is not to be run. Nil: all are run.
	Skip func(number int) bool
	// How often each command is tried again when it fails, how many workers it may cost, and how
	// long it may take each time; 0: for ever.
	Retries      int
	WorkerLosses int
	Timeout      time.Duration
	// Halt says when no further commands are started. Counts: the job fails as a whole once too many commands
	// have failed, which ends the others, too.
	Halt   mapplan.Halt
	Counts bool
	// Tag begins each line of output with the arguments and a tab.
	Tag bool
	// AsEnded prints what commands print in the order in which they end, not in that of the jobs. Live prints
	// their lines while they run: those of all, or with the order of the jobs those of the first that has not
	// ended. It takes workers of this machine; from those of others, outputs come when commands have ended.
	AsEnded, Live bool
	// Verbose tells each command on the error output before it is submitted.
	Verbose bool
	// Log gets a line for each command whose output is printed; nil: none is kept.
	Log *Log
	// Results says which files have the outputs, which then are not printed; nil: they are.
	Results *mapplan.Results

	// Job runs the commands. What is not needed any more of it is cancelled.
	Job *fray.JobContext
	// Slots is how many commands run at once, about.
	Slots int
	// AtOnce is how many commands may run at once, whatever slots there are; 0: that is no matter.
	AtOnce int
	// OnlyFree submits no command before there is a slot for it, so that one that was submitted is as good as
	// started. Delay is how much time there is between two.
	OnlyFree bool
	Delay    time.Duration
	// SlotMark is a text that stands for the number of a slot, and for nothing else.
	SlotMark string
	// Lost is closed when the workers of this machine are gone that run the commands, and write
	// outputs to Spool. Nil: others do, whose files are out of reach.
	Lost <-chan struct{}
	// Locate returns the last attempt of a task, and the worker that it ran on.
	Locate func(ctx context.Context, taskID string) (attempt int, worker string, err error)

	// Spool has outputs until they are printed; of more than MaxBuffered bytes, no further command
	// is submitted.
	Spool       *Spool
	MaxBuffered int64
	// Screen is where everything is printed. The run finishes it.
	Screen *screen.Screen
}

// How a run ends about which all has been said that there is to say.
var (
	// ErrFailed: commands failed, or were not run to their end.
	ErrFailed = errors.New("a command failed")
	// ErrUnread: what reads the output is gone.
	ErrUnread = errors.New("the output is not read")
)

// Causes of the end of a run that is as it was told to be.
var (
	errPrinted    = errors.New("everything is printed")
	errHalted     = errors.New("enough commands have ended, and those that run are ended")
	errHaltedSoon = errors.New("enough commands have ended, and no further ones are started")
)
