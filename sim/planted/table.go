package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// row is the format of the table's lines. They are written as they come, so that widths cannot
// follow from what is in them.
const row = "%-30s %-38s %-27s %4s  %-40s %4s %6s %6s\n"

func writeHeader(w io.Writer) {
	fmt.Fprintf(w, row, "BUG", "PITFALL", "SCENARIO", "SEED", "FOUND AS", "EXIT", "BUILD", "RUN")
}

// write writes a line of the table, and below it what is not as expected. It returns 1 if something
// is not.
func (o *outcome) write(w io.Writer) int {
	seed, found, exit := "none", "pass", "0"
	switch {
	case o.Seed == 0 && o.err != nil:
		found, exit = "-", "-"
	case o.Seed != 0:
		seed = strconv.FormatUint(o.Seed, 10)
		found = o.result.String()
		exit = strconv.Itoa(o.exitCode)
	}
	fmt.Fprintf(w, row, o.name, o.pitfall, o.place(), seed, found, exit, seconds(o.build), seconds(o.run))
	if o.err == nil {
		return 0
	}
	fmt.Fprintf(w, "    NOT AS EXPECTED: %s\n", strings.ReplaceAll(strings.TrimSpace(o.err.Error()), "\n", "\n    "))
	return 1
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
