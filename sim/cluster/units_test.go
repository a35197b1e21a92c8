package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// with returns the least scenario with one value put in: a duration, a probability and so on.
func with(key, value string) string {
	switch key {
	case "duration":
		return strings.Replace(least, "tasks: 1}", "tasks: 1, arrival: {start: "+value+"}}", 1)
	case "probability":
		return strings.Replace(least, "{name: worker}", "{name: worker, failureProbability: "+value+"}", 1)
	case "rate":
		return strings.Replace(least, "tasks: 1}", "tasks: 1, arrival: {rate: "+value+"}}", 1)
	case "size":
		return strings.Replace(least, "workers:", "controller: {maxQueuedBytes: "+value+"}, workers:", 1)
	case "throughput":
		return least + "faults: [{id: a, match: {phase: response-in-flight}, action: {throttle: {rate: " + value + "}}}]\n"
	case "seeds":
		return least + "run: {seeds: " + value + "}\n"
	case "pick":
		return least + "targets: [{name: v, pick: " + value + "}]\nfaults: [{id: a, action: {crash: {target: v}}}]\n"
	}
	panic(key)
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key, value string
		want       string // what it is written as, or the error and its suggestion
	}{
		{"duration", "0", "start: 0s"},
		{"duration", "90s", "start: 1m30s"},
		{"duration", "1.5ms", "start: 1.5ms"},
		{"duration", `"2m"`, "start: 2m"},
		{"duration", "3us", "start: 3us"},
		{"duration", "10", "duration 10 has no unit: write 10s or 10ms"},
		{"duration", "-3s", "duration -3s is negative: write 3s"},
		{"duration", "2 days", `"2 days" is not a duration: write 48h`},
		{"duration", "5min", `"5min" is not a duration: write 5m`},
		{"duration", "7 hours", `"7 hours" is not a duration: write 7h`},
		{"duration", "20 millis", `"20 millis" is not a duration: write 20ms`},
		{"duration", "soon", `"soon" is not a duration: write a number and a unit, such as 250ms, 10s or 1h30m`},
		{"duration", "100000h", "duration 100000h is too long: write at most 87600h0m0s"},
		{"duration", "", "workload.clients[0].arrival.start has no value: write one, or remove the key"},
		{"duration", "[1s]", "workload.clients[0].arrival.start is a list, not a single value: write one value"},
		{"probability", "0.25", "failureProbability: 0.25"},
		{"probability", "30%", "failureProbability: 0.3"},
		{"probability", "1", "failureProbability: 1.0"},
		{"probability", "1.2", "probability 1.2 is above 1: write a number from 0 to 1, or a share up to 100%"},
		{"probability", "30", "probability 30 is above 1: write 30%"},
		{"probability", "130%", "probability 130% is above 1: write a number from 0 to 1, or a share up to 100%"},
		{"probability", "-0.1", "probability -0.1 is below 0: write a number from 0 to 1"},
		{"probability", "often", `"often" is not a probability: write a number from 0 to 1, or a share such as 30%`},
		{"probability", ".nan", `".nan" is not a probability: write a number from 0 to 1, or a share such as 30%`},
		{"rate", "100/s", "rate: 100/s"},
		{"rate", "0.5/m", "rate: 0.5/m"},
		{"rate", "100", `rate "100" has no unit: write 100/s`},
		{"rate", "fast", `rate "fast" has no unit: write a number, / and a unit, such as 100/s`},
		{"rate", "0/s", `rate "0/s" does not start with a number above 0, up to 1e9: write a rate such as 100/s`},
		{"rate", "5/sec", `rate "5/sec" has an unknown unit: write 5/s`},
		{"rate", "5/year", `rate "5/year" has an unknown unit: use one of /ms, /s, /m, /h`},
		{"rate", "1e9/ms", `rate "1e9/ms" is out of range: write a rate between 1/h and 1000/ms`},
		{"size", "3KiB", "maxQueuedBytes: 3KiB"},
		{"size", "1024 MiB", "maxQueuedBytes: 1GiB"},
		{"size", "64", "size 64 has no unit: write 64B or 64KiB"},
		{"size", "64kb", `"64kb" is not a size: write 64KiB`},
		{"size", "2MB", `"2MB" is not a size: write 2MiB`},
		{"size", "9999999GiB", "size 9999999GiB is too large: write at most 1024GiB"},
		{"size", "big", `"big" is not a size: write a number and B, KiB, MiB or GiB, such as 64KiB`},
		{"throughput", "10KiB/s", "rate: 10KiB/s"},
		{"throughput", "10KiB", `throughput "10KiB" does not end with /s: write one such as 10KiB/s`},
		{"throughput", "0B/s", `throughput "0B/s" is 0: use a drop, which passes nothing`},
		{"seeds", "7", "seeds: 7"},
		{"seeds", "1..500", "seeds: 1..500"},
		{"seeds", "9..3", "range of seeds 9..3 runs backwards: write 3..9"},
		{"seeds", "1..x", `"1..x" is not a range of seeds: write a seed such as 7, or a range such as 1..500`},
		{"seeds", "1..9000000", "range 1..9000000 has more than 1000000 seeds: sweep in parts"},
		{"pick", "one", "pick: one"},
		{"pick", "all", "pick: all"},
		{"pick", "1", "pick: one"},
		{"pick", "2", "2 hosts cannot be picked from 1: write all, or 1 at most"},
		{"pick", "none", `"none" does not say how many to pick: write one, all, or a number from 1`},
	} {
		t.Run(test.key+" "+test.value, func(t *testing.T) {
			t.Parallel()
			s, err := cluster.Parse("x.yaml", []byte(with(test.key, test.value)))
			var got string
			if err != nil {
				first, _, _ := strings.Cut(err.Error(), "\n")
				_, message, _ := strings.Cut(first, ": ")
				_, suggestion, _ := strings.Cut(err.Error(), "^ ")
				suggestion, _, _ = strings.Cut(suggestion, "\n")
				got = message + ": " + suggestion
			} else {
				text, err := s.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				if got = string(text); strings.Contains(got, test.want+"\n") {
					return
				}
			}
			if got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestParseSeeds(t *testing.T) {
	t.Parallel()
	s, err := scenario.ParseSeeds("3..5")
	if err != nil || s.Count() != 3 || s.String() != "3..5" {
		t.Error(s, err)
	}
	if _, err := scenario.ParseSeeds("5..3"); err == nil || !strings.Contains(err.Error(), "backwards") {
		t.Error(err)
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	s := parse(t, with("rate", "4/s"))
	if got := cluster.Of(s).Workload.Clients[0].Arrival.Rate.Interval(); got != 250*time.Millisecond {
		t.Errorf("interval %v", got)
	}
}
