package faults_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"pgregory.net/rapid"

	"github.com/frayrpc/fray/faults"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
)

// Each is what String prints, so that they read back as themselves.
var canonical = []string{
	"a: delay(50ms) phase=request-in-flight",
	"a: delay(uniform, 10ms, 1m30s) phase=request-before-send",
	"a: delay(exponential, 20ms) phase=before-handler",
	"a: delay(normal, 50ms, 0s) phase=after-handler message=*",
	"a: drop side=client phase=response-in-flight message=3",
	"a: error(unavailable) phase=before-handler",
	`a: error(not_found, "no \"such\" thing", detail=acme.v1.Info:CgFh) phase=after-handler`,
	`a: error(unavailable, detail=acme.v1.Info:) phase=after-handler`,
	"a: duplicate phase=request-in-flight",
	"a: duplicate(copies=3, later=500ms) phase=request-in-flight",
	"a: reorder(100ms) phase=response-in-flight",
	"a: truncate phase=response-in-flight",
	"a: truncate(100B) phase=response-in-flight",
	"a: reset(1KiB) phase=request-in-flight",
	"a: throttle(64KiB/s) phase=response-in-flight",
	"a: partition",
	"a: partition(one-way) phase=request-in-flight from=w1|w2 to=controller:*",
	"a: hold phase=request-in-flight window=10s..20s",
	"a: pause(5s, host=w1) phase=before-handler",
	"a: crash phase=after-handler procedure=/acme.v1.PingService/* nth=3",
	"a: restart(host=w1) phase=after-handler",
	"a: reset phase=request-in-flight procedure=tcp:5432",
	"a: error(unavailable) phase=request-in-flight procedure=tcp:*",
	"a: drop phase=request-in-flight header=X-Tenant:acme header=\"X-Other:a b\" probability=0.25 after=1 every=2 first=4 window=..1m0s event=up",
}

func TestRulePrintsAndParsesBack(t *testing.T) {
	t.Parallel()
	for _, text := range canonical {
		rule, err := faults.ParseRule(text)
		if err != nil {
			t.Errorf("parse %s: %v", text, err)
		} else if got := rule.String(); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}

func TestParseRuleAcceptsOtherSpellings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a:drop":                                   "a: drop phase=request-in-flight",
		"  a : delay( fixed ,50ms ) side=server":   "a: delay(50ms) phase=before-handler",
		"a: throttle(1MB/s)":                       "a: throttle(1000000B/s) phase=request-in-flight",
		"a: reset(2048)":                           "a: reset(2KiB) phase=request-in-flight",
		"a: drop procedure=* from=* probability=1": "a: drop phase=request-in-flight",
		"a: drop header=x-tenant:b":                "a: drop phase=request-in-flight header=X-Tenant:b",
		`a: drop procedure="/x/y"`:                 "a: drop phase=request-in-flight procedure=/x/y",
	} {
		rule, err := faults.ParseRule(text)
		if err != nil {
			t.Errorf("parse %s: %v", text, err)
		} else if got := rule.String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestParseRuleSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"drop":                                        "column 1: a rule starts with its id and a colon",
		"a b: drop":                                   "column 1: a rule starts with its id",
		"a: ":                                         "column 4: rule a: found the end of the line in place of an action",
		"a: dorp":                                     `column 4: rule a: action "dorp" is unknown; did you mean drop?`,
		"a: explode":                                  `action "explode" is unknown; use one of delay, drop, error,`,
		"a: drop fase=x":                              `column 9: rule a: clause "fase" is unknown; did you mean phase?`,
		"a: drop phase":                               "column 14: rule a: clause phase has no value; write phase=value",
		"a: drop phase=in-flight":                     `column 15: rule a: phase "in-flight" is unknown; use one of`,
		"a: drop side=sever":                          `column 14: rule a: side "sever" is unknown; did you mean server?`,
		"a: drop nth=1 nth=2":                         "column 15: rule a: clause nth is there twice",
		"a: drop nth=0":                               "column 13: rule a: nth=0 selects nothing; counts start at 1",
		"a: drop nth=-1":                              `column 13: rule a: nth "-1" is no number from 1 on`,
		"a: drop probability=1.2":                     "column 21: rule a: probability 1.2 is not between 0 and 1",
		"a: drop probability=NaN":                     "column 21: rule a: probability NaN is not between 0 and 1",
		"a: drop probability=0":                       "column 21: rule a: the rule can never act: its probability is 0",
		"a: drop probability=often":                   `probability "often" is no number`,
		"a: delay(-5ms)":                              "column 4: rule a: delay: -5ms is negative",
		"a: delay(5)":                                 `column 10: rule a: "5" is no duration; write a number with a unit`,
		"a: delay":                                    "column 4: rule a: delay needs how long",
		"a: delay(0s)":                                "no time at all is no delay",
		"a: delay(25h)":                               "25h0m0s is longer than 24h0m0s",
		"a: delay(uniform, 5ms, 5ms)":                 "nothing lies between 5ms and 5ms",
		"a: delay(normel, 5ms, 5ms)":                  `distribution "normel" is unknown; did you mean normal?`,
		"a: delay(5ms, 6ms)":                          `delay has no use for "6ms"`,
		"a: delay(5ms":                                "column 13: rule a: found the end of the line in place of , or )",
		"a: error":                                    "error needs a code",
		"a: error(unavailabl)":                        `column 10: rule a: code "unavailabl" is unknown; did you mean unavailable?`,
		"a: error(internal, detail=x:!)":              "is not type:base64",
		"a: error(internal, \"x)":                     "column 20: rule a: the quotes around an argument do not close",
		"a: throttle(0B/s)":                           "a rate of 0 bytes a second is not above 0",
		"a: throttle(5KiB)":                           `"5KiB" is no rate`,
		"a: reset(99999999999GiB)":                    "is no size",
		"a: reset(-1B)":                               "-1 bytes are negative",
		"a: duplicate(copies=17)":                     "17 copies are not between 1 and 16",
		"a: duplicate(times=2)":                       "duplicate takes no times=",
		"a: partition(oneway)":                        `"oneway" is no way to part; use one-way`,
		"a: pause":                                    "pause: does nothing for no time",
		"a: crash(host=w*)":                           `"w*" is no name of a host`,
		"a: drop window=20s..10s":                     "column 16: rule a: the rule can never act: window 20s..10s is empty",
		"a: drop window=..0s":                         "the rule can never act",
		"a: drop window=5s":                           "has no two ends",
		"a: drop nth=5 first=3":                       "nth=5 lies behind first=3",
		"a: drop nth=5 every=2":                       "nth=5 is no multiple of every=2",
		"a: drop every=5 first=2":                     "every=5 lies behind first=2",
		"a: drop side=client phase=after-handler":     "the rule can never act: there is no after-handler on side client; use request-before-send or response-in-flight",
		"a: drop message=1":                           "the network sees no messages",
		"a: truncate(5B) side=client":                 "truncate happens on side network only",
		"a: duplicate phase=response-in-flight":       "a caller takes one answer",
		"a: duplicate phase=before-handler message=1": "a message can be sent twice or later, not received so",
		"a: duplicate(later=5s) phase=after-handler message=1": "directly follows it",
		"a: duplicate(later=5s) side=client":                   "only the network delivers a request a while later",
		"a: drop procedure=ReportTasks":                        `column 19: rule a: procedure "ReportTasks" never matches, because procedures start with /; write /ReportTasks or */ReportTasks`,
		"a: drop header=X":                                     "has no value; write header=Name:value",
		"a: drop from=a|":                                      `host "" is no name of a host`,
		"a: drop " + strings.Repeat("x", faults.MaxRuleText):   "the rule is longer than",
	} {
		_, err := faults.ParseRule(text)
		var invalid *faults.RuleError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), want) || invalid.Column == 0 {
			t.Errorf("%.60s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestPhasesOfRules(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]faults.Phase{
		"a: drop":                               {faults.RequestInFlight},
		"a: drop side=client":                   {faults.RequestBeforeSend},
		"a: drop side=server":                   {faults.BeforeHandler},
		"a: drop phase=after-handler":           {faults.AfterHandler},
		"a: partition from=x":                   {faults.RequestInFlight, faults.ResponseInFlight},
		"a: partition phase=response-in-flight": {faults.ResponseInFlight},
	} {
		rule, err := faults.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := rule.Phases(); !slices.Equal(got, want) {
			t.Errorf("%s acts in %v, want %v", text, got, want)
		}
	}
}

func TestRuleWithForeignFieldsIsRefused(t *testing.T) {
	t.Parallel()
	for _, rule := range []faults.Rule{
		{ID: "a", Action: faults.Action{Kind: faults.Drop, Bytes: 1}},
		{ID: "a", Action: faults.Action{Kind: faults.Error, Code: 77}},
		{ID: "a", Action: faults.Action{Kind: faults.Error, Code: connect.CodeAborted, Detail: faults.Detail{Value: "x"}}},
		{ID: "a", Action: faults.Action{Kind: faults.Drop}, Message: -2, Side: faults.Client},
		{ID: "a", Action: faults.Action{Kind: faults.Drop}, Window: faults.Window{From: -time.Second}},
		{ID: "a", Action: faults.Action{Kind: faults.Release}},
	} {
		if err := rule.Validate(); err == nil {
			t.Errorf("%v is accepted", rule)
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	text := "seed 42\na: hold phase=request-in-flight\nb: release(a) phase=request-in-flight nth=3\n"
	plan, err := faults.ParsePlan("# A comment.\r\n\nseed 42\r\n a: hold\nb: release(a) nth=3\n")
	if err != nil || plan.String() != text {
		t.Errorf("got %s, %v; want %s", plan, err, text)
	}
	procedures := faults.Procedures(faultsv1.File_faults_v1_faults_proto)
	for text, want := range map[string]string{
		"seed x":                         `line 1, column 6: seed "x" is no whole number`,
		"seed 1\nseed 2":                 "line 2, column 1: there is a seed in line 1",
		"\na: dorp\nb: drop nth=0":       "line 2, column 4: rule a: action \"dorp\" is unknown; did you mean drop?\nline 3, column 13: rule b: nth=0",
		"a: drop\na: drop":               "rule a: the id is there twice",
		"a: hold\nb: release(b)":         `rule b: release: there is no hold "b"`,
		"a: release(b)":                  "give the rule that holds that id",
		"stuck: hold\nb: release(stick)": "did you mean stuck?",
		"a: drop procedure=/faults.v1.FaultService/GetPlann": `did you mean /faults.v1.FaultService/GetPlan?`,
		"a: drop procedure=*/ClearPlane":                     `did you mean /faults.v1.FaultService/ClearPlan?`,
		"a: drop procedure=/nothing/like/it":                 "the service's descriptors have no such one",
	} {
		plan, err := faults.ParsePlan(text)
		if err == nil {
			err = plan.Validate(procedures)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
	plan, _ = faults.ParsePlan("a: drop procedure=*/GetPlan\nb: drop")
	if err := plan.Validate(procedures); err != nil {
		t.Error(err)
	}
}

// FuzzParseRule checks that what parses prints as a text that parses to the same rule.
func FuzzParseRule(f *testing.F) {
	for _, text := range canonical {
		f.Add(text)
	}
	f.Add(`a: error(internal, "\xff` + "\x00" + `") from="w1"`)
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := faults.ParseRule(text)
		if err != nil {
			return
		}
		again, err := faults.ParseRule(rule.String())
		if err != nil || !reflect.DeepEqual(rule, again) {
			t.Errorf("%q printed as %q: %v\n%#v\n%#v", text, rule.String(), err, rule, again)
		}
	})
}

func TestValidRulesParseBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := drawRule(t)
		if rule.Validate() != nil {
			t.Skip("the parts do not fit")
		}
		again, err := faults.ParseRule(rule.String())
		if err != nil {
			t.Fatalf("%s: %v", rule, err)
		}
		// What a rule leaves open, text says; from there on nothing changes.
		third, err := faults.ParseRule(again.String())
		if err != nil || !reflect.DeepEqual(again, third) || again.String() != rule.String() {
			t.Fatalf("%s\n%s\n%v", rule, again, err)
		}
		if !reflect.DeepEqual(again.Action.Latency, rule.Action.Latency) || again.Probability != rule.Probability && rule.Probability != 1 ||
			again.Action.Message != rule.Action.Message || again.Action.Detail != rule.Action.Detail || again.Window != rule.Window {
			t.Fatalf("%#v\n%#v", rule, again)
		}
	})
}

func drawRule(t *rapid.T) faults.Rule {
	name := rapid.StringMatching(`[a-zA-Z0-9._-]{1,8}`)
	duration := rapid.Map(rapid.Int64Range(0, int64(faults.MaxWait)), func(n int64) time.Duration { return time.Duration(n) })
	count := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(1, 4))
	hosts := rapid.SliceOfN(rapid.StringMatching(`[a-z0-9.:*-]{1,6}`), 0, 3)
	rule := faults.Rule{
		ID: name.Draw(t, "id"), Message: rapid.SampledFrom([]int{0, 0, 0, 1, 7, faults.EveryMessage}).Draw(t, "message"),
		Procedure: rapid.SampledFrom([]string{"", "*", "/a.v1.B/C", "*/C", "/a*/"}).Draw(t, "procedure"),
		From:      hosts.Draw(t, "from"), To: hosts.Draw(t, "to"),
		Probability: rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 1)).Draw(t, "probability"),
		After:       rapid.Uint64().Draw(t, "after"), Nth: count.Draw(t, "nth"), Every: count.Draw(t, "every"), First: count.Draw(t, "first"),
		Event: rapid.OneOf(rapid.Just(""), name).Draw(t, "event"),
	}
	if rapid.Bool().Draw(t, "windowed") {
		rule.Window = faults.Window{From: duration.Draw(t, "window from"), Until: duration.Draw(t, "window until")}
	}
	if rapid.Bool().Draw(t, "with header") {
		value := rapid.StringMatching(`[^\x00-\x1f\x7f-\x9f]{0,8}`).Draw(t, "value")
		rule.Headers = []faults.Header{{Name: "X-" + name.Draw(t, "header"), Value: value}}
	}
	rule.Side = rapid.SampledFrom([]faults.Side{"", faults.Client, faults.Network, faults.Server}).Draw(t, "side")
	rule.Phase = rapid.SampledFrom([]faults.Phase{
		"", faults.RequestBeforeSend, faults.RequestInFlight, faults.BeforeHandler, faults.AfterHandler, faults.ResponseInFlight,
	}).Draw(t, "phase")
	action := &rule.Action
	action.Kind = rapid.SampledFrom([]faults.Kind{
		faults.Delay, faults.Drop, faults.Error, faults.Duplicate, faults.Reorder, faults.Truncate, faults.Reset, faults.Throttle,
		faults.Partition, faults.Hold, faults.Release, faults.Pause, faults.Crash, faults.Restart,
	}).Draw(t, "kind")
	switch action.Kind {
	case faults.Delay:
		action.Latency = faults.Latency{
			Distribution: rapid.SampledFrom([]faults.Distribution{"fixed", "uniform", "exponential", "normal"}).Draw(t, "distribution"),
			Low:          duration.Draw(t, "low"),
		}
		if d := action.Latency.Distribution; d == "uniform" || d == "normal" {
			action.Latency.High = duration.Draw(t, "high")
		}
	case faults.Error:
		action.Code = connect.Code(rapid.IntRange(1, 16).Draw(t, "code"))
		action.Message = rapid.String().Draw(t, "text")
		if rapid.Bool().Draw(t, "detailed") {
			action.Detail = faults.Detail{Type: "a.v1.B", Value: string(rapid.SliceOf(rapid.Byte()).Draw(t, "detail"))}
		}
	case faults.Duplicate:
		action.Copies = rapid.IntRange(0, faults.MaxCopies).Draw(t, "copies")
		action.Wait = rapid.OneOf(rapid.Just(time.Duration(0)), duration).Draw(t, "wait")
	case faults.Reorder:
		action.Wait = duration.Draw(t, "wait")
	case faults.Truncate, faults.Reset:
		action.Bytes = rapid.Int64Range(0, 1<<40).Draw(t, "bytes")
	case faults.Throttle:
		action.Rate = rapid.Int64Range(1, 1<<40).Draw(t, "rate")
	case faults.Partition:
		action.OneWay = rapid.Bool().Draw(t, "one way")
	case faults.Release:
		action.Target = name.Draw(t, "target")
	case faults.Pause, faults.Restart:
		action.Wait = duration.Draw(t, "wait")
		action.Target = rapid.OneOf(rapid.Just(""), name).Draw(t, "host")
	case faults.Crash:
		action.Target = rapid.OneOf(rapid.Just(""), name).Draw(t, "host")
	}
	return rule
}
