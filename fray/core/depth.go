package core

import (
	"cmp"
	"slices"
)

// FunctionDepth is how many tasks of a function wait for nothing but a slot.
type FunctionDepth struct {
	Function string
	Ready    int
}

// functionDepth is what the classes of a function have in common. It is there while one of them is.
type functionDepth struct {
	function string
	// Its classes, and the ready tasks in all of them; those of held jobs count.
	classes, ready int
}

// joinFunction gives a class that was added the depth of its function.
func (c *Scheduler) joinFunction(cl *class) {
	d := c.functions[cl.function]
	if d == nil {
		d = &functionDepth{function: cl.function}
		c.functions[cl.function] = d
	}
	d.classes++
	cl.depth = d
}

// leaveFunction takes it from a class that is dropped.
func (c *Scheduler) leaveFunction(cl *class) {
	if cl.depth.classes--; cl.depth.classes == 0 {
		delete(c.functions, cl.function)
	}
}

// depths returns the functions with the most ready tasks, at most n of them, those with the most first; and
// how many ready tasks others have. It looks at each function of which there is a class, and at no task.
func (c *Scheduler) depths(n int) (list []FunctionDepth, others int) {
	if n <= 0 {
		return nil, c.readyCount
	}
	list = make([]FunctionDepth, 0, min(n, len(c.functions)))
	for _, d := range c.functions { // order-free: no two have the same name, and so each has its place
		f := FunctionDepth{Function: d.function, Ready: d.ready}
		if len(list) == n {
			last := &list[n-1]
			if last.compare(f) < 0 {
				others += f.Ready
				continue
			}
			others += last.Ready
			list = list[:n-1]
		}
		at, _ := slices.BinarySearchFunc(list, f, FunctionDepth.compare)
		list = slices.Insert(list, at, f)
	}
	return list, others
}

// compare says which comes first: the one with more ready tasks, of equal ones by name.
func (f FunctionDepth) compare(g FunctionDepth) int {
	return cmp.Or(cmp.Compare(g.Ready, f.Ready), cmp.Compare(f.Function, g.Function))
}
