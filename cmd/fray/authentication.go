package main

import "github.com/frayrpc/fray/internal/command"

// checkDoor refuses a controller that other machines can call without a credential.
func (a *app) checkDoor(listen string, open bool) error {
	if open || a.KnowsCallers() || command.IsLoopback(listen) {
		return nil
	}
	return command.UsageError("everybody who reaches %s could have the workers of this controller execute what they like.\n"+
		"Set %s, or --%s, here and for workers and clients; or list callers with --%s; or ask for certificates\n"+
		"with --tls-client-ca; or pass --%s if that is what you want.", listen, command.TokenVariable, command.TokenFileOption, command.AccessFileOption, command.OpenOption)
}

// checkExec refuses a worker that executes commands for a controller which need not ask who calls:
// it has nothing to show.
func (a *app) checkExec(address string, open bool) error {
	if open || a.Secured || a.TLS.Cert != "" {
		return nil
	}
	return command.UsageError("everybody who reaches the controller at %s could execute commands here: this worker has no token and no\n"+
		"certificate to show, so the controller asks for none. Set %s, or --%s, for controller, workers and clients; or have\n"+
		"certificates with --tls-cert; or pass --%s if that is what you want.", address, command.TokenVariable, command.TokenFileOption, command.OpenOption)
}
