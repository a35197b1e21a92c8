package story

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim/engine"
)

// maxAligned is how many events of a host are aligned behind those that are the same in both runs.
const maxAligned = 1000

// align pairs what happened to a thing in two runs: host by host, because what several hosts do at
// almost the same time may come in another order without meaning anything. Runs of one seed have the
// same times until they part. Of a host, whose life is wanted if there is no thing, looks count.
func align(thing, onlyHost string, bad, good []engine.Event, sameSeed bool) (rows []Row) {
	of := func(events []engine.Event, host string) (own []*engine.Event, keys []string) {
		for i := range events {
			if e := &events[i]; e.Host == host && (!e.Aside || onlyHost != "") {
				own, keys = append(own, e), append(keys, key(e, thing))
			}
		}
		return own, keys
	}
	for _, host := range hostsOf(bad, good) {
		x, xKeys := of(bad, host)
		y, yKeys := of(good, host)
		rows = append(rows, pair(x, y, xKeys, yKeys)...)
	}
	for i := range rows {
		rows[i].any = thing == ""
	}
	when := func(r *Row) time.Duration {
		if r.Bad != nil && !sameSeed {
			return r.Bad.At
		}
		return r.at()
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(when(&a), when(&b)) })
	return merge(rows)
}

// hostsOf returns the hosts that saw anything, sorted.
func hostsOf(runs ...[]engine.Event) (hosts []string) {
	for _, events := range runs {
		for i := range events {
			hosts = append(hosts, events[i].Host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// key is the same for events that say the same.
func key(e *engine.Event, thing string) string {
	k := cmp.Or(e.Gist, e.Kind)
	if thing == "" {
		k += " " + strings.Join(e.Tasks, ",") + strings.Join(e.Missing, ",")
	} else if slices.Contains(e.Missing, thing) {
		k += " without"
	}
	return k
}

// pair pairs the events of one host by a longest common subsequence of their keys.
func pair(x, y []*engine.Event, xKeys, yKeys []string) (rows []Row) {
	same := 0
	for same < len(x) && same < len(y) && xKeys[same] == yKeys[same] {
		rows = append(rows, Row{Bad: x[same], Good: y[same]})
		same++
	}
	x, xKeys, y, yKeys = x[same:], xKeys[same:], y[same:], yKeys[same:]
	n, m := min(len(x), maxAligned), min(len(y), maxAligned)
	// longest[i][j] is the length of one of x[i:n] and y[j:m].
	longest := make([][]int32, n+1)
	for i := range longest {
		longest[i] = make([]int32, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if xKeys[i] == yKeys[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < n && j < m {
		switch {
		case xKeys[i] == yKeys[j]:
			rows = append(rows, Row{Bad: x[i], Good: y[j]})
			i++
			j++
		case longest[i+1][j] >= longest[i][j+1]:
			rows = append(rows, Row{Bad: x[i]})
			i++
		default:
			rows = append(rows, Row{Good: y[j]})
			j++
		}
	}
	for ; i < len(x); i++ {
		rows = append(rows, Row{Bad: x[i]})
	}
	for ; j < len(y); j++ {
		rows = append(rows, Row{Good: y[j]})
	}
	return rows
}

// merge makes one row of those in one run that follow each other and say the same, such as calls
// that are made again and again.
func merge(rows []Row) (merged []Row) {
	times := 1
	same := func(a, b *Row) bool {
		return (a.Bad == nil) == (b.Bad == nil) && (a.Good == nil) == (b.Good == nil) && (a.Bad == nil || a.Good == nil) &&
			a.Who() == b.Who() && a.What() == b.What()
	}
	flush := func() {
		if times == 1 {
			return
		}
		last := &merged[len(merged)-1]
		again := *last.event()
		again.Gist = fmt.Sprintf("%s, %d times", last.What(), times)
		again.Kind, again.Missing, again.Tasks = "", nil, nil // What says it all.
		if last.Bad != nil {
			last.Bad = &again
		} else {
			last.Good = &again
		}
		times = 1
	}
	var before *Row
	for i := range rows {
		if before != nil && same(before, &rows[i]) {
			times++
			continue
		}
		if before != nil {
			flush()
		}
		merged = append(merged, rows[i])
		before = &rows[i]
	}
	if before != nil {
		flush()
	}
	return merged
}

// slack is by how much the times of what happens in both runs may differ: what is not about the
// thing has messages of the thing take other times, too.
const slack = 50 * time.Millisecond

// firstOf returns the index of the first row that is not in both runs, or if they are of one seed at
// another time, or else the number of rows.
func firstOf(rows []Row, sameSeed bool) int {
	i := slices.IndexFunc(rows, func(r Row) bool {
		return r.Bad == nil || r.Good == nil || sameSeed && r.later().Abs() > slack
	})
	if i < 0 {
		return len(rows)
	}
	return i
}
