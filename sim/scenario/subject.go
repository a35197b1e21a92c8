package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
)

// A Subject is a system that scenarios are about, as far as their files go: which sections are its
// own, what hosts it has, and what can be said about its runs. It must not be changed once a file
// was read for it. It may be used by several goroutines.
type Subject struct {
	// Name is what files call it with their key subject: lower-case letters, digits and dashes.
	Name string
	// Sections returns new sections for the reader to fill.
	Sections func() Sections
	// Facts is a pointer to a struct. Its fields with a tag cel are the variables of expressions,
	// besides those of [Common] that it does not have: structs with such fields, or maps of numbers
	// or of such structs by name.
	Facts any
	// Roles are those of hosts. RoleClient is that of the hosts that do the work.
	Roles []string
	// Usual is the role that the hosts of a target have where a file says nothing, and WithDisk the
	// host that actions on disks strike then; "": a file has to say.
	Usual, WithDisk string
	// DiskAdvice says what to write for a host to have a disk; "": nothing helps.
	DiskAdvice string
	// Events are those that faults can wait for, and States what a target's hosts can be doing
	// besides WhenAny.
	Events, States []Word
	// Standby is the host that has a standby, which actions on those strike where a file says nothing; "":
	// a file has to say. StandbyAdvice says what to write for a host to have one; "": nothing helps.
	Standby, StandbyAdvice string
	// Backups says that operators have hosts with a disk make backups.
	Backups bool
	// Drains is the role of hosts that operators can drain; "": none.
	Drains string
	// Procedures are the full names of the procedures that its hosts call, sorted. None: nobody
	// knows them, and files can name any.
	Procedures []string
	// Streams says that one of the procedures streams.
	Streams bool
	// Invariants are what every run is held to.
	Invariants []Invariant
	// Eventually is what is expected where a file says nothing. Its zero value: nothing is.
	Eventually Eventually
	// Failings are what goes wrong without a fault, for the matrix of what is covered.
	Failings []Failing

	compile sync.Once
	env     *cel.Env
}

// A Word is a name that files can use, and what it means.
type Word struct {
	Name, Meaning string
	// Role is the role of the hosts that it is about; "": any.
	Role string
}

// An Invariant is what an oracle holds a system to.
type Invariant struct {
	// Name is what expect.always and outcome call it.
	Name string
	// Claim is it in one sentence.
	Claim string
}

// Sections are the parts of a scenario that are its subject's own.
type Sections interface {
	// Parts returns where they are.
	Parts() Parts
	// Groups returns the groups of hosts. Hosts are numbered and started in their order.
	Groups() []Group
	// Calls says whether hosts of one role call a procedure at hosts of another.
	Calls(from, to, procedure string) bool
	// Keys returns the keys of a variable of the subject's facts that is a map, and what one is
	// called; known is nil if nobody knows them.
	Keys(variable string) (what string, known []string)
	// Complete fills in what a file may leave out, before anything is checked.
	Complete()
	// Check reports what is well-formed and makes no sense, and CheckFault what of a fault.
	Check(v *Validator)
	CheckFault(v *Validator, f *Fault)
}

// Parts are pointers to structs whose fields are keys of a section, beside those that every
// scenario has. Nil: none are.
type Parts struct{ Topology, Workload, Always any }

// A Group is hosts that are alike.
type Group struct {
	// Name points to the field with its name. Its hosts are NAME-1 to NAME-COUNT.
	Name *string
	Role string
	// Count is how many hosts it has. 0: there is one, with the name of the group.
	Count int
	// Disk says that they have disks, and Standby that another host would take the place of each.
	Disk, Standby bool
}

// Plain has the methods of Sections for those of whom there is nothing special to say: every host
// calls every procedure of hosts that are no clients. It is to be embedded.
type Plain struct{}

// Calls implements Sections.
func (Plain) Calls(_, to, _ string) bool { return to != RoleClient }

// Keys implements Sections.
func (Plain) Keys(string) (what string, known []string) { return "", nil }

// Complete implements Sections.
func (Plain) Complete() {}

// Check implements Sections.
func (Plain) Check(*Validator) {}

// CheckFault implements Sections.
func (Plain) CheckFault(*Validator, *Fault) {}

// New returns a scenario of the subject of which nothing is said.
func (s *Subject) New() *Scenario {
	n := &Scenario{about: s, Sections: s.Sections()}
	parts := n.Sections.Parts()
	n.Topology.Own, n.Workload.Own, n.Expect.Always.Own = parts.Topology, parts.Workload, parts.Always
	return n
}

// About returns the subject of the scenario.
func (s *Scenario) About() *Subject { return s.about }

// Default returns a scenario of the subject of which a file says nothing.
func (s *Subject) Default() *Scenario {
	n := s.New()
	d := &decoder{newSource("", nil, s)}
	d.setDefaults(reflect.ValueOf(n).Elem())
	n.APIVersion, n.Kind, n.Subject = APIVersion, Kind, s.Name
	return n
}

// names returns those of words.
func names(words []Word) []string { return namesOf(words, func(w *Word) string { return w.Name }) }

// Values returns the values that a key can have, as its tag enum says: those that it lists, or with
// @ what of the subject they are.
func (s *Subject) Values(tag string) []string {
	if tag == "" {
		return nil
	}
	return s.enum(strings.Split(tag, ","))
}

func (s *Subject) enum(tag []string) []string {
	if len(tag) != 1 || !strings.HasPrefix(tag[0], "@") {
		return tag
	}
	switch {
	case s == nil:
		return nil
	case tag[0] == "@roles":
		return s.Roles
	case tag[0] == "@events":
		return names(s.Events)
	case tag[0] == "@states":
		return append([]string{WhenAny}, names(s.States)...)
	}
	panic("scenario: there is no enum " + tag[0])
}

// allows says whether a key whose tag says so can have a value; where no subject is known it can.
func (s *Subject) allows(tag []string, value string) bool {
	return s == nil && strings.HasPrefix(tag[0], "@") || slices.Contains(s.enum(tag), value)
}

// Text returns the text of a tag doc or default, with what it has in braces replaced by what of the
// subject it is.
func (s *Subject) Text(tag string) string {
	if !strings.Contains(tag, "{") {
		return tag
	}
	if s == nil {
		s = new(Subject)
	}
	meanings := func(words []Word) string {
		return strings.Join(namesOf(words, func(w *Word) string { return w.Meaning }), "; ")
	}
	drains := "nobody drains hosts here"
	if s.Drains != "" {
		drains = "a " + s.Drains
	}
	return strings.NewReplacer("{drains}", drains, "{eventually}", s.eventually(), "{usual}", s.Usual, "{disk}", s.WithDisk, "{standby}", s.Standby, "{events}", meanings(s.Events),
		"{states}", meanings(s.States)).Replace(tag)
}

// eventually says what is expected where a file says nothing.
func (s *Subject) eventually() string {
	if s.Eventually.That == "" {
		return "nothing is"
	}
	return fmt.Sprintf("%s within %v of heal", s.Eventually.Because, s.Eventually.Within)
}

// invariantNames returns those of the invariants.
func (s *Subject) invariantNames() []string {
	return namesOf(s.Invariants, func(i *Invariant) string { return i.Name })
}

// Subjects are those that a program knows. Of a file that names none it takes the one that is
// called DefaultSubject.
type Subjects []*Subject

// DefaultSubject is the subject of files that name none.
const DefaultSubject = "fray"

// of returns the subject of a name, or nil.
func (all Subjects) of(name string) *Subject {
	i := slices.IndexFunc(all, func(s *Subject) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}
