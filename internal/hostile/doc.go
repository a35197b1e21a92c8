// Package hostile makes requests that no good client sends, and judges their answers. Tests fuzz servers
// with it, in their process and over the network.
//
//	methods, err := hostile.Methods("/fray.v1.ControllerService/GetTask")
//	r := rand.New(rand.NewPCG(seed, 0))
//	req := hostile.Draw(r, methods[0], pool)
//	answer, err := hostile.Send(client, req.HTTP(ctx, "http://"+address))
//	code, err := answer.Judge(req)
//
// A request is drawn from chance alone: its message from the schema of its procedure, plain or with values
// at the edges; its encoding; and what is wrong with it, which is often nothing. Equal chance and equal pools
// give equal requests. A [Pool] has what the servers told of (ids, tokens, cursors), so that requests come
// further than to the first check.
package hostile
