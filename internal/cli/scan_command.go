package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/libresh/libre/internal/scan"
)

// noVEX is a document without statements.
const noVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://libre.sh/vex/none","author":"libre","timestamp":"1970-01-01T00:00:01Z","version":1,"statements":[]}`

// runCommand scans each image with the scanner of libre.yaml. Its output is the result. It
// needs a flag, because a stranger's libre.yaml may name any program.
func (s *scanner) runCommand(ctx context.Context) error {
	o := s.options
	if len(s.ws.settings.Scan.Command) == 0 {
		return usageError{errors.New(`--external needs scan.command in libre.yaml, for example: scan: {command: [grype, "sbom:{sbom}", --vex, "{vex}"]}`)}
	}
	for flag, given := range map[string]bool{"--db": o.database != "", "--fail-on": o.failOn != "", "--only-fixable": o.onlyFixable, "--json": o.json, "-o": o.format != "table"} {
		if given {
			return usageError{fmt.Errorf("%s has no effect on the scanner of --external: give it its own options in scan.command of libre.yaml", flag)}
		}
	}
	if err := s.collect(ctx); err != nil {
		return err
	}
	report, found := &scan.Report{}, 0
	var printErr error
	s.read(ctx, func(image scanned, read contents) {
		report.Images = append(report.Images, image.Image)
		output, err := s.runScanner(ctx, read)
		if len(output) > 0 && printErr == nil {
			printErr = s.Printf("%s", output)
		}
		if err != nil {
			s.Errorf("%s: %v", image.Name, err)
			found++
		}
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case printErr != nil:
		return printErr
	case found > 0:
		s.printFailed()
		return fmt.Errorf("the scanner failed, or found something, in %d of %d images", found, len(s.images))
	}
	return s.verdict(report, "")
}

func (s *scanner) runScanner(ctx context.Context, read contents) ([]byte, error) {
	document, err := read.document.CycloneDX()
	if err != nil {
		return nil, err
	}
	said := []byte(noVEX)
	if read.vex != nil {
		if said, err = read.vex(); err != nil {
			return nil, err
		}
	}
	return scan.RunCommand(ctx, s.ws.settings.Scan.Command, document, said)
}
