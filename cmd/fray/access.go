package main

import (
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray/access"
)

const accessFileOption = "access-file"

// addAccessFlag declares the option that names the file with who may do what.
func addAccessFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, accessFileOption, "", "let in who this `file` lists, for what it lists; it is read again when it changes")
}

func addMetricsFlag(cmd *cobra.Command, address *string) {
	cmd.Flags().StringVar(address, "metrics-listen", "", "serve /metrics on this `address` without a credential, and not on --listen; without a host, on this machine only")
}

// policy returns who may do what with a server of this command: what a file says, or else everything
// for who shows the token. Nil: everything for all.
func (a *app) policy(log *slog.Logger, file string) (func() *access.Policy, error) {
	if file == "" {
		return a.access, nil
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	policy, err := access.Follow(log, path)
	if err != nil {
		return nil, usageError("--%s: %w", accessFileOption, err)
	}
	if policy().WantsCertificates() && a.tls.ClientCA == "" {
		return nil, usageError("--%s: %s has lines for certificates, and callers are not asked for one: name their authorities by --tls-client-ca", accessFileOption, path)
	}
	return policy, nil
}
