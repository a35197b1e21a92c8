// Package controller serves fray.v1.ControllerService: the shell around [core.Scheduler].
//
// One goroutine owns the scheduler. Handlers hand it events; it takes all that are waiting, steps
// the scheduler once with them, and passes what came out to a second goroutine, which commits the
// records to the store in one batch and then releases the replies. So a reply never precedes the
// commit of what it promises, many calls share one commit, and while one is under way the next
// batch is already being decided.
//
//	c, err := controller.New(controller.Config{Store: store.NewMemory()})
//	path, handler := c.Handler()
//	mux.Handle(path, handler)
//	err = c.Run(ctx) // Until ctx ends; calls are refused with UNAVAILABLE before and after.
//
// Specs and results are not kept in the scheduler: handlers write and read them through the store.
package controller
