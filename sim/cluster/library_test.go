package cluster_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

// promised are the scenarios that the library has at least.
var promised = []string{
	"worker-crash", "worker-crash-before-report", "worker-crash-loop", "all-workers-crash", "worker-pause", "lost-lease-reply",
	"lost-report-reply", "duplicate-report", "reordered-reports", "slow-network", "flaky-network-30-percent", "partition-worker",
	"partition-one-way", "split-fleet", "heartbeat-loss-below-threshold", "heartbeat-loss-past-threshold", "registration-delayed",
	"registration-refused", "execution-timeout", "scheduling-timeout", "impossible-resources", "capacity-full-then-freed",
	"retries-exact-budget", "cancel-storm", "burst-128-tasks", "thundering-herd-after-outage", "black-hole-worker",
	"undecodable-payload", "overload-shedding", "controller-restart", "long-soak",
}

func TestLibrary(t *testing.T) {
	t.Parallel()
	names := cluster.List()
	for _, name := range promised {
		if !slices.Contains(names, name) {
			t.Errorf("there is no %s", name)
		}
	}
	summaries := map[string]string{}
	for _, name := range names {
		s, err := cluster.Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Metadata.Name != name {
			t.Errorf("%s.yaml is named %s", name, s.Metadata.Name)
		}
		summary := s.Metadata.Summary
		if !strings.HasSuffix(summary, ".") || len(summary) < 40 || len(summary) > 200 {
			t.Errorf("%s: the summary is not one sentence: %q", name, summary)
		}
		if other := summaries[summary]; other != "" {
			t.Errorf("%s and %s have the same summary", name, other)
		}
		summaries[summary] = name
		if len(s.Expect.Finally) == 0 || len(s.Expect.Eventually) == 0 {
			t.Errorf("%s expects nothing of its own", name)
		}
	}
}

func TestLoadUnknown(t *testing.T) {
	t.Parallel()
	_, err := cluster.Load("worker-crush")
	if !errors.Is(err, scenario.ErrUnknown) || !strings.Contains(err.Error(), "did you mean worker-crash?") {
		t.Errorf("error %v", err)
	}
	if _, err := cluster.Load("worker-crash.yaml"); err != nil {
		t.Error(err)
	}
}

func TestLibraryMarshals(t *testing.T) {
	t.Parallel()
	for _, name := range cluster.List() {
		s, err := cluster.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := cluster.Parse(name, text)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		if !same(s, again) {
			t.Errorf("%s reads back as something else:\n%s", name, text)
		}
	}
}

// What takes too long for the library is a scenario, too.
func TestScale(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("scale/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if s, err := cluster.ParseFile(file); err != nil || s.Metadata.Name+".yaml" != filepath.Base(file) {
			t.Errorf("%s: error %v", file, err)
		}
	}
}
