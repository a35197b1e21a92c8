package scenario

import (
	"strconv"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
)

// OnHosts says whether the fault acts upon hosts at a time: the simulator's verbs. Other faults act upon messages: rules.
func (f *Fault) OnHosts() bool { return f.Match == nil && f.Action.OnHost() }

// OnHost says whether the action is one that hosts do.
func (a *Actions) OnHost() bool {
	return a.Pause != nil || a.Crash != nil || a.Restart != nil || a.AtTime()
}

// AtTime says whether the action is one that hosts do at a time only, and not in the middle of a call.
func (a *Actions) AtTime() bool { return a.OnDisk() || a.OnClock() }

// OnClock says whether the action is done to a host's clocks.
func (a *Actions) OnClock() bool { return a.Suspend != nil || a.ClockStep != nil }

// OnDisk says whether the action is one that only hosts with a disk do.
func (a *Actions) OnDisk() bool { return a.DiskFull != nil || a.Backup != nil }

// disk returns what a crash leaves of the disk.
func (a *Actions) disk() string {
	switch {
	case a.Crash != nil:
		return a.Crash.Disk
	case a.Restart != nil:
		return a.Restart.Disk
	}
	return DiskKept
}

// Victim returns the name of the host or target that an action on hosts strikes, or "".
func (a *Actions) Victim() string {
	switch {
	case a.Pause != nil:
		return a.Pause.Target
	case a.Crash != nil:
		return a.Crash.Target
	case a.Restart != nil:
		return a.Restart.Target
	case a.Suspend != nil:
		return a.Suspend.Target
	case a.ClockStep != nil:
		return a.ClockStep.Target
	case a.DiskFull != nil:
		return a.DiskFull.Target
	case a.Backup != nil:
		return a.Backup.Target
	}
	return ""
}

// Strike has an action on hosts strike a host or target.
func (a *Actions) Strike(victim string) {
	switch {
	case a.Pause != nil:
		a.Pause.Target = victim
	case a.Crash != nil:
		a.Crash.Target = victim
	case a.Restart != nil:
		a.Restart.Target = victim
	case a.Suspend != nil:
		a.Suspend.Target = victim
	case a.ClockStep != nil:
		a.ClockStep.Target = victim
	}
}

// Leave says what a crash leaves of the disk.
func (a *Actions) Leave(disk string) {
	switch {
	case a.Crash != nil:
		a.Crash.Disk = disk
	case a.Restart != nil:
		a.Restart.Disk = disk
	}
}

// Signal returns what the host of an injector announces when the event has come: the name of [faults.Rule]'s Event.
func (o *On) Signal() string { return o.Event + "." + strconv.Itoa(o.Nth) }

// Rule returns the fault as a rule. The hosts are those that the names in match and of the victim stand for; the injector's
// time starts at the start of the run. A window without an end goes on until the plan is cleared.
func (f *Fault) Rule(from, to faults.Hosts, victim string) faults.Rule {
	r := faults.Rule{ID: f.ID, Action: f.Action.faults(victim)}
	if m := f.Match; m != nil {
		r.Side, r.Phase, r.Procedure = faults.Side(m.Side), faults.Phase(m.Phase), procedurePattern(m.Procedure)
		r.From, r.To = from, to
	}
	w := &f.When
	r.Probability = float64(w.Probability)
	r.After, r.Nth, r.Every, r.First = uint64(w.Skip), uint64(w.Nth), uint64(w.EveryNth), uint64(w.First) //nolint:gosec // Checked to be positive.
	if w.Window != nil {
		r.Window = faults.Window{From: time.Duration(w.Window.From), Until: time.Duration(w.Window.Until)}
	}
	if w.On != nil {
		r.Event = w.On.Signal()
	}
	return r
}

// faults returns the action as package faults has it.
func (a *Actions) faults(victim string) faults.Action {
	switch {
	case a.Delay != nil:
		return faults.Action{Kind: faults.Delay, Latency: a.Delay.latency()}
	case a.Drop != nil:
		return faults.Action{Kind: faults.Drop}
	case a.Error != nil:
		var code connect.Code
		if err := code.UnmarshalText([]byte(a.Error.Code)); err != nil {
			code = connect.CodeUnknown // Not in the enum: the reader refuses it.
		}
		return faults.Action{Kind: faults.Error, Code: code, Message: a.Error.Message}
	case a.Duplicate != nil:
		return faults.Action{Kind: faults.Duplicate, Copies: a.Duplicate.Copies, Wait: time.Duration(a.Duplicate.Later)}
	case a.Reorder != nil:
		return faults.Action{Kind: faults.Reorder, Wait: time.Duration(a.Reorder.Within)}
	case a.Truncate != nil:
		return faults.Action{Kind: faults.Truncate, Bytes: int64(a.Truncate.After)}
	case a.Reset != nil:
		return faults.Action{Kind: faults.Reset, Bytes: int64(a.Reset.After)}
	case a.Throttle != nil:
		return faults.Action{Kind: faults.Throttle, Rate: int64(a.Throttle.Rate)}
	case a.Hold != nil:
		return faults.Action{Kind: faults.Hold}
	case a.Partition != nil:
		return faults.Action{Kind: faults.Partition, OneWay: a.Partition.OneWay}
	case a.Pause != nil:
		return faults.Action{Kind: faults.Pause, Wait: time.Duration(a.Pause.For), Target: victim}
	case a.Crash != nil:
		return faults.Action{Kind: faults.Crash, Target: victim}
	case a.Restart != nil:
		return faults.Action{Kind: faults.Restart, Wait: time.Duration(a.Restart.Down), Target: victim}
	}
	return faults.Action{}
}

// latency returns the delay's distribution.
func (d *Delay) latency() faults.Latency {
	switch {
	case d.Deviation != 0:
		return faults.Normal(time.Duration(d.Mean), time.Duration(d.Deviation))
	case d.Mean != 0:
		return faults.Exponential(time.Duration(d.Mean))
	case d.To != 0:
		return faults.Uniform(time.Duration(d.From), time.Duration(d.To))
	}
	return faults.Fixed(time.Duration(d.For))
}
