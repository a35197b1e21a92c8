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
	list = make([]FunctionDepth, 0, len(c.functions))
	for _, d := range c.functions { // order-free: they are sorted, and no two have the same name
		list = append(list, FunctionDepth{Function: d.function, Ready: d.ready})
	}
	slices.SortFunc(list, func(a, b FunctionDepth) int {
		return cmp.Or(cmp.Compare(b.Ready, a.Ready), cmp.Compare(a.Function, b.Function))
	})
	for i := n; i < len(list); i++ {
		others += list[i].Ready
	}
	return slices.Clip(list[:min(n, len(list))]), others
}
