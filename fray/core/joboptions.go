package core

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// A job may have options, from its first task on. They never change.

// What a job has at most. Package limit has the same.
const (
	// MaxJobDepth is how many jobs there are from the root of a tree to any of it.
	MaxJobDepth = 16
	// MaxEnvironment is how many variables the tasks of a job see, and MaxEnvironmentBytes how many bytes of names
	// and values.
	MaxEnvironment      = 64
	MaxEnvironmentBytes = 16 << 10
)

// JobOptions are what a job has besides its name.
type JobOptions struct {
	// The job that it is a part of; empty: it is a root.
	Parent string
	// What its tasks see besides what the parent's do, or in its place, in the order of the names.
	Environment []Variable
	// Whether it has a MaxFailed, and that: it fails once more of its tasks have failed than this, and than
	// MaxFailedShare of those that were submitted by then. 0: no share.
	FailsPast      bool
	MaxFailed      uint32
	MaxFailedShare float64
	// How many of its tasks are granted in its turn. 0: 1.
	Weight uint32
}

// Variable is one of an environment.
type Variable struct{ Name, Value string }

// Why a submission is refused for its job's options.
var (
	// ErrJobDiffers: the job has others, or was made without.
	ErrJobDiffers = errors.New("the job has other options")
	// ErrUnknownJob: its parent has had no task, or is forgotten.
	ErrUnknownJob = errors.New("unknown job")
	// ErrJobBounds: its tree would be too deep, or its environment too large.
	ErrJobBounds = errors.New("the job would be too much")
	// ErrJobFailed: its parent, or a job above that, has failed as a whole.
	ErrJobFailed = errors.New("the job has failed")
)

// JobError is why a submission is refused as a whole. It is one of the errors above, or ErrNotOwner.
type JobError struct {
	Err  error
	Text string
}

func (e *JobError) Error() string { return e.Text }

// Unwrap returns what it comes to.
func (e *JobError) Unwrap() error { return e.Err }

func jobError(err error, format string, args ...any) *JobError {
	return &JobError{Err: err, Text: fmt.Sprintf(format, args...)}
}

// ties are what a job has besides that has options, or children. Others have none.
type ties struct {
	// nil: it was made without.
	options *JobOptions
	// All that its tasks see: it may be shared, and never changes.
	environment []Variable
	// What options hold in memory, and the part of that which is the environment.
	bytes, environmentBytes int64
	// nil: it is a root; with orphaned, because its parent is forgotten.
	parent   *job
	orphaned bool
	// Its place among its parent's.
	at       int
	children []*job
	// The step in which there were others last.
	childrenAsOf uint64
	// More of its tasks have failed than its options allow, since that step.
	failed   bool
	failedIn uint64
}

// begun says whether a job, which may be nil, has had a task.
func (j *job) begun() bool { return j != nil && (j.tasks > 0 || j.ends() > 0) }

// weight is how many of its tasks are granted in its turn.
func (j *job) weight() uint32 {
	if j.ties == nil || j.ties.options == nil {
		return 1
	}
	return max(j.ties.options.Weight, 1)
}

// optionBytes is what its options hold in memory.
func (j *job) optionBytes() int64 {
	if j.ties == nil {
		return 0
	}
	return j.ties.bytes
}

// differs returns the first option, as it is called on the wire, in which a job that was made with o, or without if
// it is nil, is not as it is said to be; empty: there is none.
func (o *JobOptions) differs(said *JobOptions) string {
	if o == nil {
		o = &JobOptions{}
	}
	switch {
	case o.Parent != said.Parent:
		return "parent_job_id"
	case !slices.Equal(o.Environment, said.Environment):
		return fmt.Sprintf("environment[%s]", otherVariable(o.Environment, said.Environment))
	case o.FailsPast != said.FailsPast || o.MaxFailed != said.MaxFailed:
		return "max_failed"
	case o.MaxFailedShare != said.MaxFailedShare:
		return "max_failed_share"
	case max(o.Weight, 1) != max(said.Weight, 1):
		return "weight"
	default:
		return ""
	}
}

// otherVariable is the first name that two environments, which differ, do not have with the same value.
func otherVariable(a, b []Variable) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return min(a[i].Name, b[i].Name)
		}
	}
	if len(a) > len(b) {
		return a[len(b)].Name
	}
	return b[len(a)].Name
}

// tiesOf returns what the job of a submission is to have, nil for nothing; or why it may not. A job that has begun
// has it.
func (c *Scheduler) tiesOf(e *Submit) (*ties, *JobError) {
	o := e.Options
	if o == nil {
		return nil, nil
	}
	if j := c.jobs[e.Job]; j.begun() {
		var has *JobOptions
		if j.ties != nil {
			has = j.ties.options
		}
		if option := has.differs(o); option != "" {
			return nil, jobError(ErrJobDiffers,
				"its %s is not what it was made with: a job has its options from its first task on", option)
		}
		return nil, nil
	}
	var parent *job
	if o.Parent != "" {
		parent = c.jobs[o.Parent]
		failed := parent.failedAbove()
		switch {
		case !parent.begun():
			return nil, jobError(ErrUnknownJob,
				"the controller does not know parent job %q, or no longer: submit a task of that first", o.Parent)
		case !parent.admits(e.Owner):
			return nil, jobError(ErrNotOwner, "parent job %q belongs to another caller", o.Parent)
		case parent.depth() >= MaxJobDepth:
			return nil, jobError(ErrJobBounds,
				"parent job %q is the %dth from its root, and a tree of jobs has no more", o.Parent, MaxJobDepth)
		case failed != nil:
			return nil, jobError(ErrJobFailed, "job %q, of which it is to be a part, has failed as a whole", failed.id)
		}
	}
	x := newTies(o, parent)
	if len(x.environment) > MaxEnvironment || x.environmentBytes > MaxEnvironmentBytes {
		return nil, jobError(ErrJobBounds,
			"its environment with that of parent job %q has %d variables and %d bytes, and may have %d and %d",
			o.Parent, len(x.environment), x.environmentBytes, MaxEnvironment, MaxEnvironmentBytes)
	}
	return x, nil
}

// newTies makes what a job with options has; its parent may be nil.
func newTies(o *JobOptions, parent *job) *ties {
	var inherited []Variable
	if parent != nil && parent.ties != nil {
		inherited = parent.ties.environment
	}
	x := &ties{options: o, parent: parent, environment: over(inherited, o.Environment)}
	x.count()
	return x
}

// count counts the bytes of what it holds.
func (x *ties) count() {
	x.environmentBytes = 0
	for _, v := range x.environment {
		x.environmentBytes += int64(len(v.Name) + len(v.Value))
	}
	x.bytes = x.environmentBytes + int64(len(x.options.Parent))
}

// over returns the variables of two environments; of one name, that of own.
func over(inherited, own []Variable) []Variable {
	if len(inherited) == 0 {
		return own
	}
	if len(own) == 0 {
		return inherited
	}
	all := make([]Variable, 0, len(inherited)+len(own))
	for _, v := range inherited {
		if _, has := slices.BinarySearchFunc(own, v.Name, byName); !has {
			all = append(all, v)
		}
	}
	all = append(all, own...)
	slices.SortFunc(all, func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func byName(v Variable, name string) int { return cmp.Compare(v.Name, name) }

// inherited is what the job has of its parent's environment.
func (x *ties) inherited() []Variable {
	if len(x.environment) == len(x.options.Environment) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(x.environment), func(v Variable) bool {
		_, own := slices.BinarySearchFunc(x.options.Environment, v.Name, byName)
		return own
	})
}

// equip gives a new job, which has its owner, what it is to have. Its record is part of the step that creates its
// first task.
func (c *Scheduler) equip(j *job, x *ties) {
	j.ties = x
	c.charge(j.owner, usage{bytes: x.bytes})
	if x.parent != nil {
		c.adoptChild(x.parent, j)
	}
	c.changedJob(j)
}

// JobDetails is what the record of a job has besides that has options, or of which tasks have failed that are
// forgotten.
type JobDetails struct {
	Options *JobOptions
	// What it has of its parent's environment.
	Inherited []Variable
	// It has no parent any longer.
	Orphaned bool
	// How many of its forgotten tasks had failed.
	FailedBase uint64
	Failed     bool
}

// details returns what is to be recorded; nil: nothing.
func (j *job) details() *JobDetails {
	x := j.ties
	if j.failedBase == 0 && (x == nil || x.options == nil) {
		return nil
	}
	d := &JobDetails{FailedBase: j.failedBase}
	if x != nil && x.options != nil {
		d.Options, d.Inherited, d.Orphaned, d.Failed = x.options, x.inherited(), x.orphaned, x.failed
	}
	return d
}

// restoreDetails gives a job back what its record tells, but for its parent.
func (c *Scheduler) restoreDetails(j *job, d *JobDetails) error {
	if d == nil {
		return nil
	}
	hasParent := d.Options != nil && d.Options.Parent != ""
	if d.FailedBase > j.doneBase || d.Options == nil && d.Failed || !hasParent && (len(d.Inherited) > 0 || d.Orphaned) {
		return fmt.Errorf("%w: job %q, number %d, with %d failed of its first %d", ErrBadRecord, j.id, j.num,
			d.FailedBase, j.doneBase)
	}
	j.failedBase, j.failed = d.FailedBase, d.FailedBase
	if d.Options == nil {
		return nil
	}
	x := &ties{
		options: d.Options, environment: over(d.Inherited, d.Options.Environment), orphaned: d.Orphaned,
		failed: d.Failed,
	}
	x.count()
	if len(x.environment) > MaxEnvironment || x.environmentBytes > MaxEnvironmentBytes {
		return fmt.Errorf("%w: job %q, number %d, has an environment of %d variables and %d bytes", ErrBadRecord, j.id,
			j.num, len(x.environment), x.environmentBytes)
	}
	j.ties = x
	c.charge(j.owner, usage{bytes: x.bytes})
	return nil
}
