package system_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/scenario"
)

var update = flag.Bool("update", false, "rewrite the pinned hashes of traces")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, name string) *scenario.Scenario {
	t.Helper()
	s, err := cluster.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := cluster.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
