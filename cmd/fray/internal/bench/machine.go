package bench

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A Machine is what a run took place on.
type Machine struct {
	// CPU is the model; empty: unknown.
	CPU   string `json:"cpu,omitempty"`
	Cores int    `json:"cores"`
	// Procs is GOMAXPROCS of this process.
	Procs int `json:"gomaxprocs"`
	// Kernel is its release; empty: unknown.
	Kernel string `json:"kernel,omitempty"`
	// LoadBefore and LoadAfter are the load averages of a minute; nil: unknown.
	LoadBefore *float64 `json:"load_before,omitempty"`
	LoadAfter  *float64 `json:"load_after,omitempty"`
}

func machine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Procs: runtime.GOMAXPROCS(0), LoadBefore: load()}
	cpus, _ := os.ReadFile("/proc/cpuinfo") // Elsewhere than on Linux it is unknown.
	m.CPU = cpuModel(string(cpus))
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // as above
	m.Kernel = string(bytes.TrimSpace(kernel))
	return m
}

// cpuModel returns the name of the first CPU of a list as Linux has it.
func cpuModel(cpus string) string {
	for line := range strings.Lines(cpus) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func load() *float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(text), " ")
	value, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil
	}
	return &value
}
