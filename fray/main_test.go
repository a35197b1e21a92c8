package fray_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(rayWorkerVariable) != "" {
		os.Exit(runRayWorker())
	}
	goleak.VerifyTestMain(m)
}
