package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/release/publish"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/text"
)

// inspector refuses new images by the policy for licenses, and by the gate of scans. Close
// it after the push.
type inspector struct {
	licenses *license.Policy
	gate     scan.Severity // "" for none
	matcher  *scan.Matcher
	database *scan.Opened
}

// inspector opens the vulnerability database if there is a gate, before minutes of building.
func (e *env) inspector(ctx context.Context, ws *workspace, noGate bool) (*inspector, error) {
	i := &inspector{licenses: &ws.settings.Licenses}
	switch gate := ws.settings.Scan.Gate; {
	case gate == "" && noGate:
		return nil, usageError{errors.New("--no-gate: libre.yaml has no scan.gate")}
	case gate == "":
		return i, nil
	case noGate:
		e.Warnf("--no-gate: new vulnerabilities do not hold back a release; the provenance says so")
		return i, nil
	}
	i.gate = scan.Severity(ws.settings.Scan.Gate)
	var err error
	i.matcher, i.database, err = e.vulnerabilities(ctx, ws, "")
	if err != nil {
		return nil, fmt.Errorf("scan.gate in libre.yaml: %w", err)
	}
	return i, nil
}

func (i *inspector) close() {
	if i.matcher != nil {
		i.matcher.Close()
	}
}

func (i *inspector) inspect(ctx context.Context, image publish.Inspected) error {
	if err := refusedLicenses(i.licenses, image.Target.ID, image.SBOM); err != nil || i.gate == "" {
		return err
	}
	found, err := i.scan(ctx, image.Target.ID, image.Contents)
	if err != nil {
		return err
	}
	former, err := image.Former(ctx)
	if err != nil {
		return fmt.Errorf("scan.gate: reading the published image: %w", err)
	}
	published := scan.Image{}
	if former != nil {
		if published, err = i.scan(ctx, image.Target.ID, *former); err != nil {
			return err
		}
	}
	var added []string
	for _, f := range scan.Added(published, found, i.gate) {
		added = append(added, fmt.Sprintf("%s (%s) in %s", f.ID, f.Severity, f.WayText()))
	}
	if len(added) == 0 {
		return nil
	}
	return &fault.Fault{
		Err: fmt.Errorf("scan.gate in libre.yaml: the image adds %s", text.Enumerate(added, ", ", 5)),
		Fix: fmt.Sprintf("libre patch %[1]s, libre vex add %[1]s, or push --no-gate; all findings: libre scan %[2]s", image.Target.ID.App, image.Target.ID),
	}
}

func (i *inspector) scan(ctx context.Context, id catalog.ID, contents publish.Contents) (scan.Image, error) {
	return i.matcher.Scan(ctx, i.database, scan.Image{Name: id.String(), Root: id.String()}, contents.SBOM, contents.Answers)
}

// refusedLicenses returns an error that names the components of an image that the policy
// refuses.
func refusedLicenses(policy *license.Policy, id catalog.ID, document *sbom.Document) error {
	if expired := policy.Expired(time.Now()); len(expired) > 0 {
		return expired[0]
	}
	var refused []string
	for _, c := range document.Components {
		if why := policy.Refuse(license.Subject{Name: c.Name, PURL: c.PURL, Expression: c.License.Expression}, time.Now()); why != "" {
			refused = append(refused, fmt.Sprintf("%s %s (%s)", c.Name, c.Version, why))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return &fault.Fault{
		Err: fmt.Errorf("licenses in libre.yaml refuses %s", text.Enumerate(refused, ", ", 5)),
		Fix: "replace them, or add exceptions with a reason; all of them: libre licenses " + id.String(),
	}
}
