package mapplan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/number"
)

// MaxJobs is how many commands run at once at most, which 0 stands for.
const MaxJobs = 1000

// ParseJobs reads how many commands run at once on a machine with so many CPUs, as parallel's -j has it: a
// number, 0 for as many as may be, N% of the CPUs, or +N and -N for so many more or fewer.
func ParseJobs(text string, cpus int) (int, error) {
	wrong := fmt.Errorf("%q is not like 8, 0 for as many as may be, 50%% or 200%% of the CPUs, +2 or -2", text)
	digits, percent := strings.CutSuffix(text, "%")
	relative := strings.HasPrefix(digits, "+") || strings.HasPrefix(digits, "-")
	n, err := number.Parse(strings.TrimLeft(digits, "+-"), 0, 100*MaxJobs)
	if err != nil || percent && relative || relative && len(digits)-len(strings.TrimLeft(digits, "+-")) > 1 {
		return 0, wrong
	}
	const whole = 100
	switch {
	case percent && n == 0:
		return 0, wrong
	case percent:
		n = max(1, cpus*n/whole)
	case digits[0] == '+':
		n += cpus
	case digits[0] == '-':
		n = max(1, cpus-n)
	case n == 0:
		return MaxJobs, nil
	}
	if n > MaxJobs {
		return 0, fmt.Errorf("%q is more than the %d commands that run at once at most", text, MaxJobs)
	}
	return n, nil
}

// ParseTime reads a length of time: a number of seconds, as 2 or 0.5, or one with a unit, as 500ms or 1h30m.
func ParseTime(text string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && strings.Trim(text, "0123456789.") == "" {
		if seconds > math.MaxInt32 {
			return 0, fmt.Errorf("%q seconds are too many", text)
		}
		return time.Duration(seconds * float64(time.Second)), nil // within: it is below
	}
	d, err := number.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of seconds, or a duration such as 500ms, 30s or 1h30m", text)
	}
	return d, nil
}

// ParseSize reads a number of bytes, as parallel's --block has it: 1000, 10k (10,000), 10K (10,240), 1m, 1M, 1g,
// 1G, or 1KiB and 1MB.
func ParseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "kKmMgGiB")
	unit, ok := sizeUnits[text[len(digits):]]
	n, err := number.Parse(digits, 1, int64(math.MaxInt64))
	if err != nil || !ok || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a number of bytes, such as 1000, 64K, 10M or 1G", text)
	}
	return n * unit, nil
}

var sizeUnits = map[string]int64{
	"": 1, "B": 1,
	"k": 1e3, "kB": 1e3, "KB": 1e3, "K": 1 << 10, "Ki": 1 << 10, "KiB": 1 << 10,
	"m": 1e6, "MB": 1e6, "M": 1 << 20, "Mi": 1 << 20, "MiB": 1 << 20,
	"g": 1e9, "GB": 1e9, "G": 1 << 30, "Gi": 1 << 30, "GiB": 1 << 30,
}

// ParseDelimiter reads what ends each value of a file: one byte, or \n, \t, \r, \0 or \\.
func ParseDelimiter(text string) (byte, error) {
	if len(text) == 1 {
		return text[0], nil
	}
	for escape, b := range map[string]byte{`\n`: '\n', `\t`: '\t', `\r`: '\r', `\0`: 0, `\\`: '\\'} { // order-free: one of them at most
		if text == escape {
			return b, nil
		}
	}
	return 0, fmt.Errorf(`%q is not one byte, nor \n, \t, \r, \0 or \\`, text)
}

var escapes = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\0`, "\x00", `\\`, `\`)

// Unescape is a text with \n, \t, \r, \0 and \\ as what they stand for.
func Unescape(text string) string { return escapes.Replace(text) }
