package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/scenario"
)

// maxReported is how many failing seeds of a sweep have their report in the XML; the others have
// the command that replays them.
const maxReported = 100

// A Suite is the runs of a subject as the XML that CI systems read: a test case for each seed.
// There is no one schema of it; what is written here is what Jenkins, GitLab and the actions for
// GitHub have in common. A run that breaks what is claimed is a failure. What says nothing of the
// system is an error: the harness broke, the scenario is invalid, or the run was interrupted.
type Suite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`

	subject Subject
	wall    time.Duration
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Skipped *junitProblem `xml:"skipped,omitempty"`
	Failure *junitProblem `xml:"failure,omitempty"`
	Error   *junitProblem `xml:"error,omitempty"`
	// Output is what there is to know of a run besides, a line each. Strict readers have no properties
	// of test cases.
	Output *junitText `xml:"system-out,omitempty"`
}

type junitText struct {
	Text string `xml:",cdata"`
}

type junitProblem struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Report  string `xml:",cdata"`
}

// seconds is a duration as JUnit has it, of which strict readers take three decimals.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

// NewSuite returns an empty suite.
func NewSuite(of Subject) *Suite { return &Suite{Name: of.Name, Time: seconds(0), subject: of} }

// Add adds a run. Its time is that of the wall clock.
func (s *Suite) Add(r *engine.Result) {
	c := junitCase{
		Name: fmt.Sprintf("seed %d", r.Seed), Class: s.Name, Time: seconds(r.Wall),
		Output: &junitText{fmt.Sprintf("hash: %016x\nvirtual_ns: %d\n", r.Hash, r.Virtual.Nanoseconds())},
	}
	if idle := r.NotJudged(); len(idle) > 0 {
		c.Output.Text += "not_judged: " + strings.Join(idle, ", ") + "\n"
	}
	s.Tests++
	s.wall += r.Wall
	s.Time = seconds(s.wall)
	switch r.Verdict {
	case scenario.VerdictPass:
	case scenario.VerdictHarness, scenario.VerdictInvalid, scenario.VerdictInterrupted:
		s.Errors++
		c.Error = s.problem(r)
	default:
		s.Failures++
		c.Failure = s.problem(r)
	}
	s.Cases = append(s.Cases, c)
}

// AddError adds a test case that no run stands for, with an error: what kept runs from taking place.
// The kind is a verdict. The first line of the text is the message.
func (s *Suite) AddError(name, kind, text string) {
	text = strings.Map(printable, text)
	message, _, _ := strings.Cut(text, "\n")
	s.Tests++
	s.Errors++
	s.Cases = append(s.Cases, junitCase{Name: name, Class: s.Name, Time: seconds(0), Error: &junitProblem{Type: kind, Message: message, Report: text}})
}

// AddSkipped adds a test case that no run stands for because there was none, and why.
func (s *Suite) AddSkipped(name, why string) {
	s.Tests++
	s.Skipped++
	s.Cases = append(s.Cases, junitCase{Name: name, Class: s.Name, Time: seconds(0), Skipped: &junitProblem{Message: strings.Map(printable, why)}})
}

func (s *Suite) problem(r *engine.Result) *junitProblem {
	message, _, _ := strings.Cut(r.Text, "\n")
	p := &junitProblem{Type: cmp.Or(r.Broken, r.Verdict), Message: message}
	var report strings.Builder
	if s.Failures+s.Errors <= maxReported {
		Run(&report, r, s.subject)
	} else {
		writeReplay(&report, r, s.subject)
	}
	p.Report = strings.Map(printable, report.String())
	return p
}

// printable replaces what XML cannot have; the encoder looks after the rest, but not in CDATA.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r == '\ufffe' || r == '\uffff' {
		return utf8.RuneError
	}
	return r
}

// WriteSuites writes suites as one document.
func WriteSuites(w io.Writer, suites ...*Suite) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	document := struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []*Suite `xml:"testsuite"`
	}{Name: "fray-sim", Suites: suites}
	var wall time.Duration
	for _, s := range suites {
		document.Tests += s.Tests
		document.Failures += s.Failures
		document.Errors += s.Errors
		wall += s.wall
	}
	document.Time = seconds(wall)
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
