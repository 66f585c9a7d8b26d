package cli

import (
	"errors"
	"os"
	"runtime/pprof"
	"runtime/trace"

	"github.com/spf13/pflag"
)

// profiles are files about a run, for go tool pprof and go tool trace.
type profiles struct {
	cpu, trace string // paths; empty for none
	ends       []func() error
}

func (p *profiles) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.cpu, "cpuprofile", "", "write what takes CPU time to `FILE`, for go tool pprof")
	flags.StringVar(&p.trace, "trace", "", "write what runs when to `FILE`, for go tool trace")
	for _, name := range []string{"cpuprofile", "trace"} {
		_ = flags.MarkHidden(name) // it exists
	}
}

func (p *profiles) start() error {
	if p.cpu != "" {
		file, err := os.Create(p.cpu)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return errors.Join(err, file.Close())
		}
		p.ends = append(p.ends, func() error { pprof.StopCPUProfile(); return file.Close() })
	}
	if p.trace != "" {
		file, err := os.Create(p.trace)
		if err != nil {
			return err
		}
		if err := trace.Start(file); err != nil {
			return errors.Join(err, file.Close())
		}
		p.ends = append(p.ends, func() error { trace.Stop(); return file.Close() })
	}
	return nil
}

// end completes the files.
func (p *profiles) end() error {
	var errs []error
	for _, end := range p.ends {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
