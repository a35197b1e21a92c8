package counter_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/examples/counter"
	"github.com/frayrpc/fray/sim/simtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScenarios(t *testing.T) { simtest.Test(t, counter.Subject(), counter.Scenarios()) }
