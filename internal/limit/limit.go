// Package limit has the bounds of the wire that more than the schema needs: options of Go, flags
// and the checks of the hot calls. A test holds the schema to them.
package limit

import "time"

// What a task can ask for at most. Resources and labels count as those of a task.
const (
	Retries         = 10_000
	WorkerLosses    = 1000
	Priority        = 1000 // and the least is its negative
	Backoff         = 24 * time.Hour
	BackoffFactor   = 100
	Timeout         = 30 * 24 * time.Hour
	Pairs           = 16
	NameLength      = 64  // of a resource, a label or an encoding
	LabelLength     = 256 // of a label's value
	Resource        = 1_000_000_000_000
	Payload         = 64 << 20          // bytes
	NotBefore       = 7_258_118_400_000 // milliseconds of Unix time: the year 2200
	Needs           = 1024              // tasks, and as many objects
	Concurrency     = 1024              // calls that an actor is handed at once
	CallerID        = 64                // characters
	Checkpoint      = 1 << 20           // bytes
	Limits          = 4                 // that bound a task together with others
	LimitName       = 64                // characters
	LimitKey        = 128               // characters
	LimitCount      = 1_000_000         // tasks at once, and starts in a period
	LimitPeriod     = 24 * time.Hour
	UniqueKey       = 128 // characters
	UniquePeriod    = 30 * 24 * time.Hour
	Gang            = 1024     // tasks
	ScheduleID      = 107      // characters: those of its runs end with a time
	SchedulePayload = 64 << 10 // bytes
	CronLine        = 256      // characters
	TimeZone        = 64       // characters
)

// What a job can have at most.
const (
	JobDepth         = 16       // jobs from the root of its tree to itself
	JobWeight        = 100      // tasks in its turn
	Environment      = 64       // variables that its tasks see
	EnvironmentBytes = 16 << 10 // of their names and values
	VariableName     = 256      // characters
)

// What attempts say of themselves.
const (
	ProgressCount   = 1024 // attempts in a heartbeat
	ProgressMessage = 1024 // bytes
)

// OwnVariables begins the names of variables that are Fray's, and no job's.
const OwnVariables = "FRAY_"

// IsVariable says whether a variable of an environment may have a name: letters, digits and underscores, the first no
// digit.
func IsVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= VariableName
}

// What one call carries at most.
const (
	Submit   = 50_000    // tasks
	Retry    = 100       // tasks
	Slots    = 65_536    // of a worker, and the tasks that one poll asks for
	Held     = 65_536    // attempts of each state that a worker holds
	Lent     = 16_384    // attempts that lend what they have
	Outbox   = 1_048_576 // reports that a worker keeps
	Reports  = 65_536
	Drain    = 24 * time.Hour // the grace of a worker that drains
	RetryGap = 24 * time.Hour // that a failed function asks for

	ErrorType = 256  // bytes of the Go type of a function's error
	Sentinel  = 1024 // bytes of the text of a sentinel that a task declares
)
