package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

// backupWait is how long the controller may take to say how far a backup is.
const backupWait = 10 * time.Second

// backup asks for a backup until it is made, however long that takes. All calls are one request, so
// that what is made is told even if an answer is lost, or the controller is restarted.
func (a *app) backup(ctx context.Context, c *client, name string) (*frayv1.CreateBackupResponse, error) {
	req := &frayv1.CreateBackupRequest{Name: name, RequestId: rand.Text(), MaxWaitMs: number.Millis(backupWait)}
	for began := time.Now(); ; {
		var res *frayv1.CreateBackupResponse
		err := c.within(ctx, backupWait, func(ctx context.Context) (err error) {
			res, err = c.CreateBackup(ctx, req)
			return err
		})
		if err != nil || !res.GetUnderWay() {
			return res, err
		}
		fmt.Fprintf(a.Stderr, "fray: backup %s is being made: %d MiB copied in %s\n", name, res.GetCopiedBytes()>>20, number.ShortDuration(time.Since(began).Round(time.Second)))
	}
}

func (a *app) newBackup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup [NAME]",
		Short: "Copy a running controller's records",
		Long: `Have a controller copy its records, as of now, to a new directory on its machine: the one of that name in its backup
directory. Without a name, the time is one. The copy shares files with the original as long as both are on one disk: copy it
elsewhere. To go back to it, stop the controller and start one with the copy as its --data-dir.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return command.UsageError("give one name, not %d", len(args))
			}
			return nil
		},
		RunE: a.calling(func(ctx context.Context, c *client, args []string) error {
			name := time.Now().UTC().Format("20060102T150405.000Z")
			if len(args) == 1 {
				name = args[0]
			}
			res, err := a.backup(ctx, c, name)
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return printJSON(a.Stdout, struct {
					Name string `json:"name"`
					Path string `json:"path"`
				}{name, res.GetPath()})
			}
			fmt.Fprintln(a.Stdout, res.GetPath())
			return nil
		}),
	}
	a.addClientFlags(cmd)
	a.addOutputFlag(cmd)
	return cmd
}
