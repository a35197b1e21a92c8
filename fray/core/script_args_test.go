package core_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// args is a command taken apart: a verb, words, and key=value options. What nobody asked for is an
// error.
type args struct {
	verb string
	rest []string
	opts map[string]string
	told []string // what follows the word tells
	err  error
}

func parseArgs(line string) (*args, error) {
	a := &args{opts: make(map[string]string)}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return nil, errors.New("a command is empty")
	}
	if i := slices.Index(fields, "tells"); i > 0 {
		fields, a.told = fields[:i], fields[i+1:]
	}
	a.verb = fields[0]
	for i, f := range fields[1:] {
		if slices.Contains(fields[1:], ",") {
			a.rest = fields[1:] // split takes them apart.
			break
		}
		key, value, found := strings.Cut(f, "=")
		if !found {
			a.rest = append(a.rest, f)
			continue
		}
		if _, twice := a.opts[key]; twice {
			return nil, fmt.Errorf("option %q of %q is given twice (word %d)", key, line, i)
		}
		a.opts[key] = value
	}
	return a, nil
}

// split takes the rest as commands of their own, with commas between them.
func (a *args) split() ([]*args, error) {
	words := slices.Clone(a.rest)
	for _, k := range slices.Sorted(maps.Keys(a.opts)) {
		words = append(words, k+"="+a.opts[k])
	}
	a.rest, a.opts = nil, nil
	var items []*args
	for part := range strings.SplitSeq(strings.Join(words, " "), " , ") {
		i, err := parseArgs(part)
		if err != nil {
			return nil, err
		}
		items = append(items, i)
	}
	return items, nil
}

func (a *args) unused() error {
	if a.err != nil {
		return a.err
	}
	if len(a.rest) > 0 || len(a.opts) > 0 {
		return fmt.Errorf("%s does not know %v %v", a.verb, a.rest, a.opts)
	}
	return nil
}

func (a *args) word() string {
	if len(a.rest) == 0 {
		a.err = cmp.Or(a.err, fmt.Errorf("%s needs another word", a.verb))
		return ""
	}
	w := a.rest[0]
	a.rest = a.rest[1:]
	return w
}

func (a *args) words() []string {
	ws := a.rest
	a.rest = nil
	return ws
}

func (a *args) flag(name string) bool {
	i := slices.Index(a.rest, name)
	if i < 0 {
		return false
	}
	a.rest = slices.Delete(a.rest, i, i+1)
	return true
}

func (a *args) has(key string) bool { return a.opts[key] != "" }

func (a *args) opt(key string) string { return a.optOr(key, "") }

func (a *args) optOr(key, otherwise string) string {
	v, ok := a.opts[key]
	if !ok {
		return otherwise
	}
	delete(a.opts, key)
	return v
}

func (a *args) list(key string) []string {
	if v := a.opt(key); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

func (a *args) int(key string) int { return a.intOr(key, 0) }

func (a *args) intOr(key string, otherwise int) int { return option(a, key, otherwise, strconv.Atoi) }

func (a *args) duration(key string) time.Duration { return a.durationOr(key, 0) }

func (a *args) durationOr(key string, otherwise time.Duration) time.Duration {
	return option(a, key, otherwise, time.ParseDuration)
}

func (a *args) floatOr(key string, otherwise float64) float64 {
	return option(a, key, otherwise, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
}

func (a *args) resources(key string) []core.Resource {
	var rs []core.Resource
	for _, r := range a.list(key) {
		name, amount, _ := strings.Cut(r, ":")
		n, err := strconv.ParseInt(amount, 10, 64)
		a.err = cmp.Or(a.err, err)
		rs = append(rs, core.Resource{Name: name, Amount: n})
	}
	return rs
}

func option[T any](a *args, key string, otherwise T, parse func(string) (T, error)) T {
	s := a.opt(key)
	if s == "" {
		return otherwise
	}
	v, err := parse(s)
	a.err = cmp.Or(a.err, err)
	return v
}

// jobOptions are told as parent=JOB env=NAME:VALUE,NAME:VALUE max_failed=N max_share=P weight=W; nil: none is.
func jobOptions(a *args) *core.JobOptions {
	o := core.JobOptions{
		Parent: a.opt("parent"), FailsPast: a.has("max_failed"), MaxFailed: uint32(a.int("max_failed")),
		MaxFailedShare: a.floatOr("max_share", 0),
		Weight:         uint32(a.int("weight")),
	}
	for _, v := range a.list("env") {
		name, value, _ := strings.Cut(v, ":")
		o.Environment = append(o.Environment, core.Variable{Name: name, Value: value})
	}
	if o.Parent == "" && o.Environment == nil && !o.FailsPast && o.MaxFailedShare == 0 && o.Weight == 0 {
		return nil
	}
	return &o
}

// limits are told as NAME.KEY:CONCURRENT or NAME.KEY:STARTS/PERIOD, or both with a plus between them.
func (a *args) limits(key string) []core.Limit {
	var ls []core.Limit
	for _, text := range a.list(key) {
		name, bounds, _ := strings.Cut(text, ":")
		var l core.Limit
		l.Name, l.Key, _ = strings.Cut(name, ".")
		for bound := range strings.SplitSeq(bounds, "+") {
			count, period, rate := strings.Cut(bound, "/")
			n, err := strconv.Atoi(count)
			if rate {
				l.Starts = n
				l.Period, err = time.ParseDuration(period)
			} else {
				l.Concurrent = n
			}
			a.err = cmp.Or(a.err, err)
		}
		ls = append(ls, l)
	}
	return ls
}
