package main

import "github.com/spf13/cobra"

// openFlag has a process go on that lets in all who reach it.
const openFlag = "without-authentication"

func addOpenFlag(cmd *cobra.Command, open *bool, usage string) {
	cmd.Flags().BoolVar(open, openFlag, false, usage)
}

// knowsCallers reports whether the servers of this command know who calls: by a token, a list of
// callers, or a certificate.
func (a *app) knowsCallers() bool { return a.secured || a.listed || a.tls.ClientCA != "" }

// checkDoor refuses a controller that other machines can call without a credential.
func (a *app) checkDoor(listen string, open bool) error {
	if open || a.knowsCallers() || isLoopback(listen) {
		return nil
	}
	return usageError("everybody who reaches %s could have the workers of this controller execute what they like.\n"+
		"Set %s, or --%s, here and for workers and clients; or list callers with --%s; or ask for certificates\n"+
		"with --tls-client-ca; or pass --%s if that is what you want.", listen, tokenVariable, tokenFileOption, accessFileOption, openFlag)
}

// checkExec refuses a worker that executes commands for a controller which need not ask who calls:
// it has nothing to show.
func (a *app) checkExec(address string, open bool) error {
	if open || a.secured || a.tls.Cert != "" {
		return nil
	}
	return usageError("everybody who reaches the controller at %s could execute commands here: this worker has no token and no\n"+
		"certificate to show, so the controller asks for none. Set %s, or --%s, for controller, workers and clients; or have\n"+
		"certificates with --tls-cert; or pass --%s if that is what you want.", address, tokenVariable, tokenFileOption, openFlag)
}

// checkFaults refuses a process that would let everybody make it misbehave. It reports whether
// callers can: those faults that the command line names are its operator's will.
func (a *app) checkFaults(o faultOptions, open, listens bool) (served bool, err error) {
	if !o.enable || !listens {
		return false, nil
	}
	if open || a.knowsCallers() {
		return true, nil
	}
	if o.plan != "" {
		return false, nil
	}
	return false, usageError("everybody who reaches this process could make it misbehave with --enable-fault-injection.\n"+
		"Set %s, or --%s; or ask for certificates with --tls-client-ca; or name a file with --faults, which then nobody\n"+
		"changes from elsewhere; or pass --%s if that is what you want.", tokenVariable, tokenFileOption, openFlag)
}
