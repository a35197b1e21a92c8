package command

import (
	"log/slog"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/fray/access"
)

const (
	// AccessFileOption names the file with who may do what.
	AccessFileOption = "access-file"
	// OpenOption has a process go on that lets in all who reach it.
	OpenOption = "without-authentication"
)

// AddOpenFlag declares the option that has a process go on that lets in all who reach it.
func AddOpenFlag(flags *pflag.FlagSet, open *bool, usage string) {
	flags.BoolVar(open, OpenOption, false, usage)
}

// KnowsCallers reports whether the servers of this process know who calls: by a token, a list of
// callers, or a certificate.
func (p *Process) KnowsCallers() bool { return p.Secured || p.Listed || p.TLS.ClientCA != "" }

// AddAccessFlag declares the option that names the file with who may do what.
func AddAccessFlag(flags *pflag.FlagSet, file *string) {
	flags.StringVar(file, AccessFileOption, "", "let in who this `file` lists, for what it lists; it is read again when it changes")
}

// AddMetricsFlag declares the option that names a port for metrics alone.
func AddMetricsFlag(flags *pflag.FlagSet, address *string) {
	flags.StringVar(address, "metrics-listen", "", "serve /metrics on this `address` without a credential, and not on --listen; without a host, on this machine only")
}

// Policy returns who may do what with a server of this process: what a file says, or else everything
// for who shows the token. Nil: everything for all.
func (p *Process) Policy(log *slog.Logger, file string) (func() *access.Policy, error) {
	if file == "" {
		return p.access, nil
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	policy, err := access.Follow(log, path)
	if err != nil {
		return nil, UsageError("--%s: %w", AccessFileOption, err)
	}
	if policy().WantsCertificates() && p.TLS.ClientCA == "" {
		return nil, UsageError("--%s: %s has lines for certificates, and callers are not asked for one: name their authorities by --tls-client-ca", AccessFileOption, path)
	}
	return policy, nil
}
