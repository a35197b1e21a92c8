package cluster

import (
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/crontab"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/sim/scenario"
)

func (v *checker) kindNames() []string {
	_, names := v.Keys("kinds")
	return names
}

func (v *checker) checkWorkload() {
	for i := range v.workload.Mix {
		v.checkKind(i)
	}
	tasks := 0
	used := map[string]bool{}
	for i := range v.workload.Clients {
		g := &v.workload.Clients[i]
		tasks += min(g.Count*g.Tasks, MaxTasks+1)
		v.checkArrival(g)
		v.checkKeeps(g)
		v.checkKeyed(g)
		v.checkGangs(g)
		v.checkJob(g)
		for j := range g.Kinds {
			if name := g.Kinds[j]; !slices.Contains(v.kindNames(), name) {
				v.Report(scenario.Complain("there is no kind of task %q", name).SuggestName(name, v.kindNames()), &g.Kinds[j])
			}
			used[g.Kinds[j]] = true
		}
		if len(g.Kinds) == 0 {
			for _, name := range v.kindNames() {
				used[name] = true
			}
		}
	}
	for i := range v.workload.Visitors {
		g := &v.workload.Visitors[i]
		v.checkSpan(&g.Stay)
		v.checkSpan(&g.Away)
		v.checkSpan(&g.Every)
		if f := g.Floods; f != nil {
			if name := f.Kind; !slices.Contains(v.kindNames(), name) {
				v.Report(scenario.Complain("there is no kind of task %q", name).SuggestName(name, v.kindNames()), &f.Kind)
			}
			used[f.Kind] = true
			if at := slices.Index(v.kindNames(), f.Kind); at >= 0 && v.workload.Mix[at].Needs > 0 {
				v.Report(scenario.Complain("kind %s needs other tasks, and a flood has none", f.Kind).Suggest("name a kind without needs"), &f.Kind)
			}
			if at := slices.Index(v.kindNames(), f.Kind); at >= 0 && v.workload.Mix[at].Schedule != nil {
				v.Report(scenario.Complain("kind %s is schedules, which a flood has none of", f.Kind).Suggest("name a kind without schedule"), &f.Kind)
			}
			if at := slices.Index(v.kindNames(), f.Kind); at >= 0 && v.workload.Mix[at].Actors != nil {
				v.Report(scenario.Complain("kind %s is calls of actors, and a flood creates none", f.Kind).Suggest("name a kind without actors"), &f.Kind)
			}
			tasks += min(g.Count*f.Tasks, MaxTasks+1)
			if g.Stranger || g.Forger || g.Cancel > 0 || g.Mistakes > 0 {
				v.Report(scenario.Complain("visitors that flood do nothing else").Suggest("make another group for what else there is to do"), &g.Floods)
			}
		}
		if g.Forger && (g.Stranger || g.Cancel > 0 || g.Mistakes > 0) {
			v.Report(scenario.Complain("visitors that forge do nothing else").Suggest("make another group for what else there is to do"), &g.Forger)
		}
	}
	if tasks > MaxTasks {
		v.Report(scenario.Complain("clients and visitors submit more than %d tasks", MaxTasks).Suggest("lower tasks or count"), &v.workload.Clients)
	}
	for i := range v.workload.Mix {
		used[v.workload.Mix[i].ChildKind] = true
	}
	for i := range v.workload.Mix {
		if k := &v.workload.Mix[i]; !used[k.Name] {
			v.Report(scenario.Complain("no client submits tasks of kind %s", k.Name).Suggest("add it to the kinds of a client, or remove it"), &k.Name)
		}
	}
}

func (v *checker) checkArrival(g *ClientGroup) {
	a := &g.Arrival
	if a.Pattern == "random" && a.Rate == (scenario.Rate{}) {
		v.Report(scenario.Complain("arrivals without a rate have no pattern").Suggest("add rate: 100/s, or remove the pattern"), &a.Pattern)
	}
	if a.Batch > g.Tasks {
		v.Report(scenario.Complain("a batch of %d is more than the %d tasks there are", a.Batch, g.Tasks).Suggest("write %d", g.Tasks), &a.Batch)
	}
	if g.Jobs > g.Tasks {
		v.Report(scenario.Complain("%d jobs are more than the %d tasks there are", g.Jobs, g.Tasks).Suggest("write %d", g.Tasks), &g.Jobs)
	}
	if g.CancelsJobs != nil {
		v.checkSpan(g.CancelsJobs)
	}
	if g.Leaves != nil {
		v.checkSpan(&g.Leaves.After)
		v.checkSpan(&g.Leaves.Away)
		if g.Within > 0 {
			v.Report(scenario.Complain("a client that leaves is not told of its tasks while it is away").Suggest("remove within, or leaves"), &g.Within)
		}
		if g.Submissions > 1 {
			v.Report(scenario.Complain("a client that leaves submits its tasks again by itself").Suggest("remove submissions"), &g.Submissions)
		}
		if away := g.Leaves.Away.Max; away >= v.topology.Controller.Retention {
			v.Report(scenario.Complain("the client is away for %v, and ended tasks are kept for %v: its tasks would run again", away, v.topology.Controller.Retention).
				Suggest("shorten away, or raise topology.controller.retention"), &g.Leaves.Away.Max)
		}
	}
	last := g.lastArrival()
	if last >= time.Duration(v.Run.MaxVirtualTime) {
		v.Report(scenario.Complain("the last task arrives at about %v, and the run is over at %v", scenario.Duration(last), v.Run.MaxVirtualTime).
			Suggest("submit fewer or faster, or raise run.maxVirtualTime"), &a.Rate, &a.Start, &g.Tasks)
	}
}

func (v *checker) checkKind(i int) {
	k := &v.workload.Mix[i]
	if slices.Contains(v.kindNames()[:i], k.Name) {
		v.Report(scenario.Complain("there are two kinds of task named %s", k.Name).Suggest("rename one"), &k.Name)
	}
	v.checkSpan(&k.Work)
	if k.Cancel != nil {
		v.checkSpan(&k.Cancel.After)
	}
	if k.RetryAfter != nil {
		v.checkSpan(k.RetryAfter)
	}
	if k.NotBefore != nil {
		v.checkSpan(k.NotBefore)
	}
	if b := k.Backoff; b != nil {
		if b.Cap < b.Base {
			v.Report(scenario.Complain("the longest delay %v is shorter than the first, %v", b.Cap, b.Base).Suggest("write %v or more", b.Base), &b.Cap, &b.Base)
		}
		v.milliseconds(&b.Base)
		v.milliseconds(&b.Cap)
	}
	v.milliseconds(&k.ExecutionTimeout)
	v.milliseconds(&k.SchedulingTimeout)
	v.checkChildren(k)
	if k.Needs > 0 && k.Undecodable == "input" {
		v.Report(scenario.Complain("kind %s cannot decode what it needs", k.Name).Suggest("remove needs, or undecodable"), &k.Needs)
	}
	if k.Actors != nil {
		v.checkActors(k)
	}
	if k.Limit != nil {
		v.checkLimit(k)
	}
	if k.Schedule != nil {
		v.checkSchedule(k)
	}
	if k.Unique != nil {
		v.checkUnique(k)
	}
	if k.Gang > 0 {
		v.checkGang(k)
	}
	v.checkEligible(k)
}

// checkSchedule reports schedules that there cannot be, or that nobody ends.
func (v *checker) checkSchedule(k *TaskKind) {
	s := k.Schedule
	if err := crontab.Check(s.Cron, ""); err != nil {
		v.Report(scenario.Complain("%v", err).Suggest("write \"@every 10s\" or \"*/5 * * * *\""), &s.Cron)
	} else if err := crontab.Check(s.Cron, s.Zone); err != nil {
		v.Report(scenario.Complain("%v", err).Suggest("write Europe/Berlin, or remove the zone"), &s.Zone)
	} else if text, is := strings.CutPrefix(s.Cron, "@every "); is {
		if every, err := time.ParseDuration(text); err == nil && every%time.Second != 0 {
			v.Report(scenario.Complain("%v is not a whole number of seconds", every).Suggest("write \"@every %v\"", every.Truncate(time.Second)), &s.Cron)
		}
	}
	if k.Cancel == nil || k.Cancel.Probability < 1 {
		v.Report(scenario.Complain("schedules of kind %s are never over", k.Name).Suggest("add cancel: {after: {min: 30s, max: 30s}}"), &k.Schedule, &k.Cancel)
	}
	if k.PayloadSize > limit.SchedulePayload {
		v.Report(scenario.Complain("payload of %v is longer than that of a schedule may be", k.PayloadSize).Suggest("write %v or less", scenario.Bytes(limit.SchedulePayload)), &k.PayloadSize)
	}
	for _, not := range []struct {
		is    bool
		what  string
		field any
	}{
		{k.Actors != nil, "actors", &k.Actors},
		{k.Children > 0, "children", &k.Children},
		{k.Needs > 0, "needs", &k.Needs},
		{k.NotBefore != nil, "notBefore", &k.NotBefore},
		{k.ObjectSize > 0, "objectSize", &k.ObjectSize},
	} {
		if not.is {
			v.Report(scenario.Complain("tasks of kind %s are schedules, which have no %s", k.Name, not.what).Suggest("remove %s, or schedule", not.what), not.field)
		}
	}
}

// checkKeeps reports what clients do not do that have schedules.
func (v *checker) checkKeeps(g *ClientGroup) {
	at := slices.IndexFunc(v.workload.Mix, func(k TaskKind) bool { return k.Schedule != nil && g.Submits(&k) })
	if at < 0 {
		return
	}
	kind := v.workload.Mix[at].Name
	for _, not := range []struct {
		is    bool
		what  string
		field any
	}{
		{g.Leaves != nil, "clients that leave do not come back to", &g.Leaves},
		{g.Submissions > 1, "are submitted until they are there, and not again", &g.Submissions},
		{g.Within > 0, "do not complete", &g.Within},
	} {
		if not.is {
			v.Report(scenario.Complain("tasks of kind %s are schedules, which %s", kind, not.what).Suggest("have another group submit kind %s", kind), not.field)
		}
	}
}

// checkLimit reports limits that there cannot be, and tasks that would wait for themselves.
func (v *checker) checkLimit(k *TaskKind) {
	l := k.Limit
	v.milliseconds(&l.Period)
	switch {
	case l.Concurrent == 0 && l.Starts == 0:
		v.Report(scenario.Complain("limit %s bounds nothing", l.Name).Suggest("add concurrent: 5, or starts and a period"), &k.Limit)
	case l.Starts > 0 && l.Period <= 0:
		v.Report(scenario.Complain("starts of limit %s have no period", l.Name).Suggest("add period: 10s"), &l.Starts)
	case l.Starts == 0 && l.Period > 0:
		v.Report(scenario.Complain("limit %s has a period and no starts", l.Name).Suggest("add starts, or remove the period"), &l.Period)
	case time.Duration(l.Period) > limit.LimitPeriod:
		v.Report(scenario.Complain("period %v is more than a day", l.Period).Suggest("write %v or less", scenario.Duration(limit.LimitPeriod)), &l.Period)
	}
	if len(l.Key) > limit.LimitKey {
		v.Report(scenario.Complain("key of %d bytes is longer than %d", len(l.Key), limit.LimitKey), &l.Key)
	}
	if len(l.Name) > limit.LimitName {
		v.Report(scenario.Complain("name of %d bytes is longer than %d", len(l.Name), limit.LimitName), &l.Name)
	}
	if k.Actors != nil {
		v.Report(scenario.Complain("tasks of kind %s are calls of actors, which have no limits", k.Name).Suggest("remove limit, or actors"), &k.Limit)
	}
	if at := slices.Index(v.kindNames(), k.ChildKind); at >= 0 {
		if c := v.workload.Mix[at].Limit; c != nil && c.Name == l.Name && c.Key == l.Key && l.Concurrent > 0 {
			v.Report(scenario.Complain("tasks of kind %s have places of limit %s while they wait for children that need some: all could wait for ever", k.Name, l.Name).
				Suggest("give the children another limit"), &k.Limit)
		}
	}
}

// checkActors reports what calls of actors are not.
func (v *checker) checkActors(k *TaskKind) {
	a := k.Actors
	v.checkSpan(&a.Construct)
	if a.DeletedAfter != nil {
		v.checkSpan(a.DeletedAfter)
	}
	for _, not := range []struct {
		is    bool
		what  string
		field any
	}{
		{k.Children > 0, "children", &k.Children},
		{k.Needs > 0, "needs", &k.Needs},
		{k.ObjectSize > 0, "objectSize", &k.ObjectSize},
		{k.Undecodable != "", "undecodable", &k.Undecodable},
		{k.ResultSize != scenario.Default[TaskKind]().ResultSize, "resultSize", &k.ResultSize},
	} {
		if not.is {
			v.Report(scenario.Complain("tasks of kind %s are calls of actors, which count them and do nothing else", k.Name).Suggest("remove %s, or actors", not.what), not.field)
		}
	}
	if a.Checkpoints && a.Concurrency > 1 {
		v.Report(scenario.Complain("actors of kind %s have checkpoints, and are handed %d calls at once", k.Name, a.Concurrency).Suggest("remove concurrency, or checkpoints"), &a.Concurrency)
	}
}

func (v *checker) checkSpan(s *Span) {
	if s.Max < s.Min {
		if v.Has(&s.Min) && !v.Has(&s.Max) {
			s.Max = s.Min // Only min was given.
			return
		}
		if v.Has(&s.Max) && !v.Has(&s.Min) {
			s.Min = s.Max
			return
		}
		v.Report(scenario.Complain("max %v is less than min %v", s.Max, s.Min).Suggest("swap them"), &s.Max, &s.Min)
	}
}

// milliseconds reports what the wire cannot say.
func (v *checker) milliseconds(d *scenario.Duration) {
	if time.Duration(*d)%time.Millisecond != 0 {
		v.Report(scenario.Complain("%v is not a whole number of milliseconds", *d).Suggest("write %v", scenario.Duration(time.Duration(*d).Truncate(time.Millisecond)+time.Millisecond)), d)
	}
}

func (v *checker) checkChildren(k *TaskKind) {
	switch {
	case k.Children == 0 && k.ChildKind == "":
	case k.Children == 0:
		v.Report(scenario.Complain("kind %s has a childKind and no children", k.Name).Suggest("add children: 1"), &k.ChildKind)
	case k.ChildKind == "":
		v.Report(scenario.Complain("kind %s has children and no childKind", k.Name).Suggest("add childKind: with the name of another kind"), &k.Children)
	default:
		at := slices.Index(v.kindNames(), k.ChildKind)
		switch {
		case at < 0:
			v.Report(scenario.Complain("there is no kind of task %q", k.ChildKind).SuggestName(k.ChildKind, v.kindNames()), &k.ChildKind)
		case v.workload.Mix[at].Children > 0:
			v.Report(scenario.Complain("kind %s has children of its own", k.ChildKind).Suggest("name a kind without"), &k.ChildKind)
		case v.workload.Mix[at].Needs > 0:
			v.Report(scenario.Complain("kind %s needs other tasks, which children do not", k.ChildKind).Suggest("name a kind without needs"), &k.ChildKind)
		case v.workload.Mix[at].Actors != nil:
			v.Report(scenario.Complain("kind %s is calls of actors, which children are not", k.ChildKind).Suggest("name a kind without actors"), &k.ChildKind)
		case v.workload.Mix[at].Unique != nil:
			v.Report(scenario.Complain("kind %s has keys, which children do not", k.ChildKind).Suggest("name a kind without unique"), &k.ChildKind)
		case v.workload.Mix[at].Gang > 0:
			v.Report(scenario.Complain("kind %s is gangs, which children are not", k.ChildKind).Suggest("name a kind without gang"), &k.ChildKind)
		case v.workload.Mix[at].Schedule != nil:
			v.Report(scenario.Complain("kind %s is schedules, which children are not", k.ChildKind).Suggest("name a kind without schedule"), &k.ChildKind)
		}
	}
}

// checkEligible reports tasks that no worker can run and that nothing ends.
func (v *checker) checkEligible(k *TaskKind) {
	if k.SchedulingTimeout > 0 || k.Cancel != nil && k.Schedule == nil || v.Expect.Outcome.Verdict == scenario.VerdictLiveness {
		return
	}
	able := slices.ContainsFunc(v.topology.Workers, func(w WorkerGroup) bool {
		for name, value := range k.Labels { // order-free: all must hold
			if have, ok := w.Labels[name]; !ok || have != value {
				return false
			}
		}
		for name, amount := range k.Resources { // order-free: all must hold
			if w.Resources[name] < amount {
				return false
			}
		}
		return true
	})
	if !able {
		v.Report(scenario.Complain("no worker has the labels and resources that tasks of kind %s need, and they would wait for ever", k.Name).
			Suggest("add a group of workers that has, or a schedulingTimeout"), &k.Resources, &k.Labels)
	}
}
