package scenario

import (
	"reflect"
	"time"
)

// An Action is one kind of fault. Each kind is a type, in a file of its own: its fields are the
// format, and its methods all that is to be known of it. A kind more is such a file, and a field of
// [Actions].
//
// Some kinds have more methods: fault returns the action as package faults has it, with the host
// that it strikes, if rules can do it; check reports what the action needs and the fault does not
// give it; realm returns what of a host it is done to, if that is not its software.
type Action interface {
	// example returns the least of the kind that is valid somewhere.
	example() Action
}

// A hostAction is done to a host, and not to messages.
type hostAction interface {
	Action
	// victim returns where the action names the host or target that it strikes.
	victim() *string
	// lasts returns how long it keeps a host from its work, and whether it ends by itself.
	lasts() (d time.Duration, ends bool)
	// strike does it.
	strike(on Stage, host string)
}

// A realm is what of a host an action is done to that cannot be done in the middle of a call.
type realm int

const (
	ofClocks realm = iota
	ofDisk
	// ofOperators is what operators and supervisors do with hosts.
	ofOperators
	// ofStandby is what a host has that takes its place.
	ofStandby
)

// Verbs are what can be done to the hosts of a run.
type Verbs interface {
	// After has f called once that much time has passed.
	After(d time.Duration, f func())
	// Crash ends a host at once, and leaves what the name says of its disk, one of the Disk
	// constants.
	Crash(host, disk string)
	// Pause lets a host stand still until Resume. Suspend does so with its monotonic clock, too.
	Pause(host string)
	Suspend(host string)
	Resume(host string)
	// StepClock sets a host's wall clock by so much, ahead or back.
	StepClock(host string, by time.Duration)
	// FillDisk leaves the disk of a host no room, or gives it back.
	FillDisk(host string, full bool)
	// FailDisk has the next operations of a kind on the disk of a host fail, so many or, below 0, all;
	// 0: no more. The kind is one of the names of what of a disk fails. SlowDisk has its syncs take so
	// much longer.
	FailDisk(host, on string, first int)
	SlowDisk(host string, by time.Duration)
}

// A Stage is where actions on hosts are done.
type Stage interface {
	Verbs
	// StartAgain starts a host that has crashed anew after a time.
	StartAgain(host string, after time.Duration)
	// Leave tells a host to end, kills it if it has not after the grace, and starts it again once it
	// has been gone for so long; 0: it stays away. Drain has an operator drain it, upon which it ends
	// by itself.
	Leave(host string, grace, down time.Duration)
	Drain(host string, grace, down time.Duration)
	// Supervise has a host that ends by itself, with an error or without, start again after so long.
	Supervise(host string, down time.Duration)
	// Look has an operator look at a host for so long, if the subject has such. Backup has one make
	// a backup.
	Look(host string, lasts time.Duration)
	Backup(host string)
	// Failover has the standby of a host take over, if the subject has such. Some callers may reach what
	// was replaced until Rejoin.
	Failover(host string, lingers bool)
	Rejoin(host string)
}

// Actions holds what a fault does: just one of its fields is set.
type Actions struct {
	Delay     *Delay     `yaml:"delay" doc:"Messages take longer."`
	Drop      *Drop      `yaml:"drop" doc:"Messages are lost: the caller sees nothing until its own deadline."`
	Error     *Error     `yaml:"error" doc:"Calls are answered with an error."`
	Duplicate *Duplicate `yaml:"duplicate" doc:"Requests arrive more than once."`
	Reorder   *Reorder   `yaml:"reorder" doc:"A message is held back until the next match has passed it."`
	Truncate  *Truncate  `yaml:"truncate" doc:"A body ends early, as if there were no more."`
	Reset     *Reset     `yaml:"reset" doc:"The connection breaks in the middle of a body."`
	Throttle  *Throttle  `yaml:"throttle" doc:"A body passes slowly."`
	Hold      *Hold      `yaml:"hold" doc:"Messages are held back until the window ends."`
	Partition *Partition `yaml:"partition" doc:"Nothing passes between the hosts of from and those of to."`
	Pause     *Pause     `yaml:"pause" doc:"A host stands still and goes on later, as if nothing had been."`
	Crash     *Crash     `yaml:"crash" doc:"A host is gone, until heal."`
	Restart   *Restart   `yaml:"restart" doc:"A host is gone and comes back."`
	Stop      *Stop      `yaml:"stop" doc:"A host is told to leave, as SIGTERM does, and is killed if it takes too long."`
	Drain     *Drain     `yaml:"drain" doc:"An operator drains a host, which leaves once it has done what it has."`
	Suspend   *Suspend   `yaml:"suspend" doc:"A host's machine sleeps and wakes later: as with pause, but its monotonic clock has stood still, too."`
	ClockStep *ClockStep `yaml:"clockStep" doc:"A host's wall clock is set, ahead or back."`
	DiskFull  *DiskFull  `yaml:"diskFull" doc:"A host's disk has no room."`
	DiskError *DiskError `yaml:"diskError" doc:"A host's disk fails."`
	SlowDisk  *SlowDisk  `yaml:"slowDisk" doc:"A host's disk takes its time."`
	Backup    *Backup    `yaml:"backup" doc:"An operator has a host make a backup, which is opened in the end."`
	Failover  *Failover  `yaml:"failover" doc:"A host's standby takes over. It has what was acknowledged, and by chance some of what was not."`
}

// set returns the key and the action that is set, the first if there are several; nil if there is
// none.
func (a *Actions) set() (key string, action Action) {
	v := reflect.ValueOf(a).Elem()
	for _, field := range fieldsOf(v.Type()) {
		if f := v.Field(field.index); !f.IsNil() {
			return field.key, f.Interface().(Action) //nolint:errcheck // Each field is one.
		}
	}
	return "", nil
}

// onHost returns the action that is set, if it is one on hosts.
func (a *Actions) onHost() (hostAction, bool) {
	_, action := a.set()
	h, ok := action.(hostAction)
	return h, ok
}

// Clone returns a copy that shares nothing with the receiver.
func (a *Actions) Clone() (c Actions) {
	from, to := reflect.ValueOf(a).Elem(), reflect.ValueOf(&c).Elem()
	for i := range from.NumField() {
		if f := from.Field(i); !f.IsNil() {
			to.Field(i).Set(reflect.New(f.Type().Elem()))
			to.Field(i).Elem().Set(f.Elem())
		}
	}
	return c
}

// Key returns the key of the action that is set.
func (a *Actions) Key() string {
	key, _ := a.set()
	return key
}

// Examples has the least of each action that is valid somewhere, in the order of the format.
func Examples() []Actions {
	t := reflect.TypeFor[Actions]()
	var all []Actions
	for _, field := range fieldsOf(t) {
		var a Actions
		kind := reflect.Zero(t.Field(field.index).Type).Interface().(Action) //nolint:errcheck // Each field is one.
		reflect.ValueOf(&a).Elem().Field(field.index).Set(reflect.ValueOf(kind.example()))
		all = append(all, a)
	}
	return all
}

// OnHost says whether the action is one that hosts do.
func (a *Actions) OnHost() bool {
	_, ok := a.onHost()
	return ok
}

// AtTime says whether the action is one that hosts do at a time only, and not in the middle of a
// call.
func (a *Actions) AtTime() bool {
	return a.OnDisk() || a.OnClock() || a.OnStandby() || a.byOperator()
}

// OnClock says whether the action is done to a host's clocks.
func (a *Actions) OnClock() bool { return a.in(ofClocks) }

// OnStandby says whether the action is one that only hosts with a standby do.
func (a *Actions) OnStandby() bool { return a.in(ofStandby) }

// OnDisk says whether the action is one that only hosts with a disk do.
func (a *Actions) OnDisk() bool { return a.in(ofDisk) }

// byOperator says whether an operator or a supervisor does it.
func (a *Actions) byOperator() bool { return a.in(ofOperators) }

func (a *Actions) in(r realm) bool {
	_, action := a.set()
	h, ok := action.(interface{ realm() realm })
	return ok && h.realm() == r
}

// disk returns where the action says what it leaves of a host's disk, or nil if it does not touch
// it.
func (a *Actions) disk() *string {
	_, action := a.set()
	if d, ok := action.(interface{ disk() *string }); ok {
		return d.disk()
	}
	return nil
}

// Leave says what a crash leaves of the disk.
func (a *Actions) Leave(disk string) {
	if d := a.disk(); d != nil {
		*d = disk
	}
}

// EndsHost says whether the action ends a host.
func (a *Actions) EndsHost() bool {
	_, action := a.set()
	_, ends := action.(interface{ endsHost() })
	return ends
}

// OnlySimulated returns what the action does that cannot be done to processes, or "".
func (a *Actions) OnlySimulated() string {
	_, action := a.set()
	if s, ok := action.(interface{ onlySimulated() string }); ok {
		return s.onlySimulated()
	}
	if a.Leaves() != DiskKept {
		return "takes something from a host's disk, and this machine's keeps what was written"
	}
	return ""
}

// Leaves returns what the action leaves of a host's disk.
func (a *Actions) Leaves() string {
	if d := a.disk(); d != nil {
		return *d
	}
	return DiskKept
}

// Victim returns the name of the host or target that an action on hosts strikes, or "".
func (a *Actions) Victim() string {
	if h, ok := a.onHost(); ok {
		return *h.victim()
	}
	return ""
}

// Aim has an action on hosts strike a host or target.
func (a *Actions) Aim(victim string) {
	if h, ok := a.onHost(); ok {
		*h.victim() = victim
	}
}

// Lasts returns how long the action keeps a host from its work; 0 for those that do not, or do not
// end.
func (a *Actions) Lasts() time.Duration {
	if h, ok := a.onHost(); ok {
		d, _ := h.lasts()
		return d
	}
	return 0
}

// Strike does an action on hosts.
func (a *Actions) Strike(on Stage, host string) {
	if h, ok := a.onHost(); ok {
		h.strike(on, host)
	}
}
