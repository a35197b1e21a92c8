package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// jobFlags are what a command says of the job that it submits to.
type jobFlags struct {
	parent      string
	environment map[string]string
	maxFailed   optionalNumber
	share       optionalShare
	weight      int
}

func addJobFlags(flags *pflag.FlagSet, o *jobFlags) {
	flags.StringVar(&o.parent, "parent", "", "make the job a part of this `job`, which has had a task: it is cancelled with it, and inherits its environment")
	flags.Var(&environmentValue{&o.environment}, "env",
		"have all tasks of the job see this variable: `NAME=VALUE`; may be given several times")
	flags.Var(&o.maxFailed, "max-failed",
		"the job fails as a whole once more than this `number` of its tasks have failed")
	flags.Var(&o.share, "max-failed-share", "the same for a `share` of those that were submitted by then, between 0 and 1; with both, the more generous counts")
	command.Between(flags, &o.weight, 0, limit.JobWeight, "weight", 0,
		"how many tasks of the job are handed out in its turn, 1 to 100; 0: one, or as many as the job was made with")
	command.Momentary(flags, "parent", "env", "max-failed", "max-failed-share", "weight")
}

// message returns what was said; nil: nothing was.
func (o *jobFlags) message() *frayv1.JobOptions {
	m := &frayv1.JobOptions{
		ParentJobId: o.parent, Environment: o.environment, MaxFailedShare: float64(o.share),
		Weight: number.Clamp[uint32](o.weight),
	}
	if o.maxFailed.set {
		m.MaxFailed = &o.maxFailed.n
	}
	if proto.Equal(m, &frayv1.JobOptions{}) {
		return nil
	}
	return m
}

// options are what was said as options of a job context.
func (o *jobFlags) options() []fray.Option {
	var options []fray.Option
	if o.parent != "" {
		options = append(options, fray.WithParentJob(o.parent))
	}
	if len(o.environment) > 0 {
		options = append(options, fray.WithEnvironment(o.environment))
	}
	if o.maxFailed.set {
		options = append(options, fray.WithMaxFailed(int(o.maxFailed.n)))
	}
	if o.share > 0 {
		options = append(options, fray.WithMaxFailedShare(float64(o.share)))
	}
	if o.weight > 0 {
		options = append(options, fray.WithJobWeight(o.weight))
	}
	return options
}

// environmentValue takes one variable with each use of its flag. A value may have any characters, commas among them.
type environmentValue struct{ variables *map[string]string }

func (v *environmentValue) String() string {
	if v.variables == nil {
		return ""
	}
	entries := make([]string, 0, len(*v.variables))
	for _, name := range slices.Sorted(maps.Keys(*v.variables)) {
		entries = append(entries, name+"="+(*v.variables)[name])
	}
	return strings.Join(entries, " ")
}

func (*environmentValue) Type() string { return "variable" }

// Reset implements command.Resetter.
func (v *environmentValue) Reset() { *v.variables = nil }

func (v *environmentValue) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is not NAME=VALUE", text)
	}
	if _, twice := (*v.variables)[name]; twice {
		return fmt.Errorf("%s is there twice", name)
	}
	if *v.variables == nil {
		*v.variables = make(map[string]string)
	}
	(*v.variables)[name] = value
	return nil
}

// optionalNumber is a number, of which none is not 0.
type optionalNumber struct {
	set bool
	n   uint32
}

func (v *optionalNumber) String() string {
	if !v.set {
		return ""
	}
	return strconv.FormatUint(uint64(v.n), 10)
}

func (*optionalNumber) Type() string { return "number" }

func (v *optionalNumber) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is not a number from 0 to %d", text, math.MaxUint32)
	}
	v.n, err = number.Within[uint32]("number", n, 0, math.MaxUint32)
	v.set = err == nil
	return err
}

// optionalShare is a share; 0: none.
type optionalShare float64

func (v *optionalShare) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*v), 'g', -1, 64)
}

func (*optionalShare) Type() string { return "share" }

func (v *optionalShare) Set(text string) error {
	p, err := strconv.ParseFloat(text, 64)
	if err != nil || !(p > 0 && p < 1) {
		return fmt.Errorf("%q is not between 0 and 1", text)
	}
	*v = optionalShare(p)
	return nil
}

// jobFailure says why a job has failed as a whole.
func jobFailure(job string, r *frayv1.GetJobResponse) string {
	most := uint64(math.Floor(r.GetMaxFailedShare() * float64(r.GetSubmittedCount())))
	most = max(most, uint64(r.GetMaxFailed()))
	return fmt.Sprintf("job %s has failed as a whole: %d of its %s failed, and no more than %d may",
		job, r.GetFailedCount(), wording.Count(r.GetSubmittedCount(), "task"), most)
}

// getJob shows how a job stands.
func (a *app) getJob(ctx context.Context, c *client, job string) error {
	r, err := ask(ctx, c, c.GetJob, &frayv1.GetJobRequest{JobId: job})
	if err != nil {
		return err
	}
	if !r.GetKnown() {
		return unknownJob(job)
	}
	if a.output == formatJSON {
		return printJSON(a.Stdout, newJobJSON(job, r))
	}
	details := [][2]string{{"Job", job}, {"Owner", r.GetOwner()}, {"Part of", r.GetParentJobId()}}
	if r.GetFailed() {
		details = append(details, [2]string{"Failed", jobFailure(job, r)})
	}
	for _, n := range []struct {
		name string
		n    uint64
	}{
		{"Tasks submitted", r.GetSubmittedCount()},
		{"Tasks open", r.GetOpenCount()},
		{"Tasks failed", r.GetFailedCount()},
		{"Children", r.GetChildCount()},
		{"Weight", uint64(r.GetWeight())},
	} {
		details = append(details, [2]string{n.name, strconv.FormatUint(n.n, 10)})
	}
	if r.MaxFailed != nil {
		details = append(details, [2]string{"May fail", strconv.FormatUint(uint64(r.GetMaxFailed()), 10)})
	}
	if p := r.GetMaxFailedShare(); p > 0 {
		details = append(details, [2]string{"Share that may fail", strconv.FormatFloat(p, 'g', -1, 64)})
	}
	printDetails(a.Stdout, details)
	return nil
}

func unknownJob(job string) error {
	return &command.CodedError{
		Code: command.ExitNotFound,
		Err:  fmt.Errorf("job %q: the controller knows no task of it, or no longer", job),
	}
}

// jobJSON is a job for programs.
type jobJSON struct {
	JobID          string  `json:"job_id"`
	Owner          string  `json:"owner,omitempty"`
	Parent         string  `json:"parent_job_id,omitempty"`
	Failed         bool    `json:"failed"`
	Submitted      uint64  `json:"submitted_count"`
	Open           uint64  `json:"open_count"`
	Ended          uint64  `json:"ended_count"`
	FailedTasks    uint64  `json:"failed_count"`
	Children       uint64  `json:"child_count"`
	Weight         uint32  `json:"weight"`
	MaxFailed      *uint32 `json:"max_failed,omitempty"`
	MaxFailedShare float64 `json:"max_failed_share,omitempty"`
}

func newJobJSON(job string, r *frayv1.GetJobResponse) jobJSON {
	return jobJSON{
		JobID: job, Owner: r.GetOwner(), Parent: r.GetParentJobId(), Failed: r.GetFailed(),
		Submitted: r.GetSubmittedCount(), Open: r.GetOpenCount(),
		Ended: r.GetEndedCount(), FailedTasks: r.GetFailedCount(), Children: r.GetChildCount(), Weight: r.GetWeight(),
		MaxFailed:      r.MaxFailed,
		MaxFailedShare: r.GetMaxFailedShare(),
	}
}
