package report_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/report"
	"github.com/frayrpc/fray/sim/scenario"
)

var fray = system.Subject(system.Options{})

var subject = report.Subject{Called: "mine.yaml", Name: "mine", Args: []string{"--scenario", "mine.yaml"}, Tell: fray.Tell, Sum: fray.Sum}

// passed is the result of a seed that went well.
func passed(seed uint64) *engine.Result {
	r := &engine.Result{
		Scenario: "mine", Summary: "Something happens.", Seed: seed, Verdict: scenario.VerdictPass,
		Virtual: 90 * time.Second, Wall: 30 * time.Millisecond, Hash: 0xabc, Stats: sim.Stats{Steps: 500},
		Faults:  []engine.FaultCount{{ID: "kill", Kind: "crash", Action: "crash worker-1", Fired: 2}},
		Oracles: []engine.Count{{Oracle: "never-lost", Claim: "No task is lost.", Checks: 7}, {Oracle: "idle", Claim: "Nothing."}},
		Eventually: []engine.Met{
			{That: "tasks.open == 0", Met: true, Within: time.Minute, Took: 1500 * time.Millisecond},
		},
	}
	var f cluster.Facts
	f.Tasks.Submitted, f.Tasks.Completed, f.Tasks.Failed = 10, 9, 1
	f.Attempts.Started, f.Attempts.Succeeded = 11, 9
	r.Facts, _ = json.Marshal(f) // It has nothing that JSON lacks.
	return r
}

// failed is the result of a seed that broke an invariant.
func failed(seed uint64) *engine.Result {
	r := passed(seed)
	r.Verdict, r.Broken, r.Text = scenario.VerdictInvariant, "never-lost", "task t-1: nobody knows it\x01"
	r.Oracles[0].Violations = 2
	events := []engine.Event{{Seq: 3, At: time.Second, Host: "client", Text: "task=t-1"}, {Seq: 9, At: 3 * time.Second, Host: "worker-1"}}
	r.Violations = []engine.Violation{{Oracle: "never-lost", Task: "t-1", Text: "nobody knows it", Events: events}, {Oracle: "other"}}
	r.Last = events[1:]
	return r
}

func TestRun(t *testing.T) {
	t.Parallel()
	interrupted := &engine.Result{Scenario: "mine", Seed: 4, Verdict: scenario.VerdictInterrupted, Text: "stopped"}
	process := passed(5)
	process.Backend, process.Hash = scenario.BackendProcess, 0
	around := failed(7)
	around.Around = []engine.Event{{Seq: 8, At: 2 * time.Second, Host: "client"}, around.Violations[0].Events[1]}
	verified := failed(6)
	verified.Verified = true
	for name, tt := range map[string]struct {
		result       *engine.Result
		want, absent []string
	}{
		"passed": {passed(3), []string{
			"PASS  mine, seed 3\nSomething happens.\n", "1m30s virtual in 30ms (3000 to 1), 500 messages",
			"tasks     10 submitted: 9 completed, 1 failed\n", "attempts  11 started: 9 succeeded\n",
			"kill   crash worker-1  2", "never-lost  7       0       No task is lost.",
			"Not judged, because nothing happened that they look at: idle.", "tasks.open == 0  1.5s  1m", "trace     0000000000000abc",
		}, []string{"Replay", "The last events"}},
		"failed": {failed(3), []string{
			"FAIL (invariant-broken)  mine, seed 3", "never-lost: No task is lost. But\ntask t-1: nobody knows it",
			"  3    1.00000", "It is not the only one: 1 more were found", "The last events:",
			"Replay it with\n\n  fray-sim --scenario mine.yaml --seed 3\n",
		}, nil},
		"verified":    {verified, []string{"the same when run again", "--seed 6 --verify\n"}, nil},
		"interrupted": {interrupted, []string{"INTERRUPTED  mine, seed 4", "Replay it with"}, []string{"tasks "}},
		"stuck": {stuck(), []string{
			"Not ended  SINCE    STATE  LAST EVENT\n", "t-9        1.00000  waits  2.00000 client submit-reply\nand 4 more\n",
			"Failed  SINCE    STATE                    LAST EVENT\nf-1     1.00000  failed after 3 attempts",
			"The events about t-0, but for 110 after the first 6 (--task t-0 has all):", "about-5", "about-16", "about-29", "The last events:",
		}, []string{"t-10", "about-6 ", "about-15"}},
		"around":    {around, []string{"The events around what breaks it:", "> 9 ", "  8 "}, []string{"The last events"}},
		"processes": {process, []string{"1m30s on real processes"}, []string{"trace"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			report.Run(&text, tt.result, subject)
			for _, want := range tt.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is missing in\n%s", want, &text)
				}
			}
			for _, absent := range tt.absent {
				if strings.Contains(text.String(), absent) {
					t.Errorf("%q is in\n%s", absent, &text)
				}
			}
		})
	}
}

// stuck is the result of a seed that did not end, with tasks that did not, and with some that failed.
func stuck() *engine.Result {
	r := passed(3)
	r.Verdict, r.Broken, r.Text = scenario.VerdictLiveness, "eventually", "not true in time: tasks.open == 0"
	last := engine.Event{Seq: 7, At: 2 * time.Second, Host: "client", Kind: "submit-reply"}
	r.Task, r.Open, r.Failed = "t-0", &engine.Tasks{Total: 14}, &engine.Tasks{Total: 1}
	for i := range 12 {
		r.Open.Tasks = append(r.Open.Tasks, engine.Task{Task: fmt.Sprintf("t-%d", i), State: "waits", Since: time.Second, Last: &last})
	}
	r.Failed.Tasks = []engine.Task{{Task: "f-1", State: "failed after 3 attempts", Since: time.Second, Last: &last}}
	for i := range uint64(30) {
		r.About = append(r.About, engine.Event{Seq: i, At: time.Second, Kind: fmt.Sprintf("about-%d", i)})
	}
	r.Omitted, r.Last = 100, []engine.Event{last}
	return r
}

func TestTotals(t *testing.T) {
	t.Parallel()
	totals := report.NewTotals(subject, scenario.Seeds{First: 1, Last: 40})
	for seed := range uint64(30) {
		r := passed(seed + 1)
		if seed%2 == 1 {
			r = failed(seed + 1)
		}
		totals.Add(r)
	}
	if totals.Ran != 30 || len(totals.Failures) != 10 || totals.Failures[9].Seed != 20 {
		t.Errorf("%d ran, failures %v", totals.Ran, totals.Failures)
	}
	var text strings.Builder
	totals.Write(&text, true)
	for _, want := range []string{
		"FAIL  mine.yaml, seeds 1..40: 15 of 30 pass, 10 did not run: the sweep was interrupted\n",
		"faults    60 injected: crash 60\n", "tasks     300 acknowledged: 270 completed, 30 failed\n",
		"lost: 30 (210 checks of never-lost)", "never-lost  15     2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, ...",
		"The first of them:\n\nFAIL (invariant-broken)  mine, seed 2\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &text)
		}
	}
}

func TestSuiteReadsBack(t *testing.T) {
	t.Parallel()
	suite := report.NewSuite(subject)
	suite.Add(passed(1))
	suite.Add(failed(2))
	broken := passed(3)
	broken.Verdict, broken.Text = scenario.VerdictHarness, "no room ]]> on the disk\nmore"
	suite.Add(broken)
	interrupted := passed(4)
	interrupted.Verdict, interrupted.Text = scenario.VerdictInterrupted, "a signal"
	suite.Add(interrupted)
	other := report.NewSuite(report.Subject{Name: "other"})
	other.AddError("scenario", scenario.VerdictInvalid, "other.yaml:3:1: it is wrong \x01\n  3 | so")
	other.AddSkipped("later", "it did not run")
	var document strings.Builder
	if err := report.WriteSuites(&document, suite, other); err != nil {
		t.Fatal(err)
	}
	type problem struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string   `xml:"name,attr"`
				Failure *problem `xml:"failure"`
				Error   *problem `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(document.String()), &got); err != nil {
		t.Fatal(err)
	}
	checkJUnit(t, document.String())
	if got.Tests != 6 || got.Failures != 1 || got.Errors != 3 || len(got.Suites) != 2 || got.Suites[0].Name != "mine" || got.Suites[1].Name != "other" {
		t.Fatalf("got %+v", got)
	}
	cases := got.Suites[0].Cases
	if cases[0].Failure != nil || cases[0].Error != nil {
		t.Error("a seed that passed has a problem")
	}
	if f := cases[1].Failure; f == nil || f.Type != "never-lost" || !strings.Contains(f.Text, "nobody knows it\ufffd") {
		t.Errorf("failure %+v", f)
	}
	if e := cases[2].Error; e == nil || e.Message != "no room ]]> on the disk" || !strings.Contains(e.Text, "Replay it with") {
		t.Errorf("error %+v", e)
	}
}

// junitElements are the elements that Jenkins, its strict reader (the xUnit plugin) included, and GitLab
// read, each with the attributes that it must
// have and those that it may have besides, and the elements that may be in it.
var junitElements = map[string]struct{ must, may, inner []string }{
	"testsuites": {must: []string{"tests", "failures", "errors", "time"}, may: []string{"name"}, inner: []string{"testsuite"}},
	"testsuite":  {must: []string{"name", "tests", "failures", "errors", "time"}, may: []string{"skipped"}, inner: []string{"testcase"}},
	"testcase":   {must: []string{"name", "classname", "time"}, inner: []string{"skipped", "failure", "error", "system-out"}},
	"system-out": {},
	"failure":    {must: []string{"type", "message"}},
	"error":      {must: []string{"type", "message"}},
	"skipped":    {must: []string{"message"}},
}

// checkJUnit fails the test if a document has anything else, or if its counts are not those of its
// cases.
func checkJUnit(t *testing.T, document string) {
	t.Helper()
	counted := map[string]int{} // of the suite
	said := map[string]string{}
	closeSuite := func() {
		for attribute, element := range map[string]string{"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"} {
			if want := strconv.Itoa(counted[element]); said[attribute] != want {
				t.Errorf("suite %s says that it has %s %s, and has %s", said["name"], said[attribute], attribute, want)
			}
		}
	}
	var open []string
	decoder := xml.NewDecoder(strings.NewReader(document))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			known, ok := junitElements[name]
			if !ok || len(open) > 0 && !slices.Contains(junitElements[open[len(open)-1]].inner, name) {
				t.Errorf("<%s> in %v", name, open)
			}
			has := map[string]string{}
			for _, a := range e.Attr {
				has[a.Name.Local] = a.Value
				if !slices.Contains(slices.Concat(known.must, known.may), a.Name.Local) {
					t.Errorf("<%s> has %s", name, a.Name.Local)
				}
			}
			for _, must := range known.must {
				if has[must] == "" {
					t.Errorf("<%s> has no %s", name, must)
				}
			}
			if has["time"] != "" && !regexp.MustCompile(`^[0-9]+\.[0-9]{3}$`).MatchString(has["time"]) {
				t.Errorf("<%s> has the time %q", name, has["time"])
			}
			if name == "testsuite" {
				clear(counted)
				said = has
			}
			counted[name]++
			open = append(open, name)
		case xml.EndElement:
			if e.Name.Local == "testsuite" {
				closeSuite()
			}
			open = open[:len(open)-1]
		}
	}
}
