package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/release/publish"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/text"
)

// inspector refuses new images by the policy for licenses; nil if there is none.
func (ws *workspace) inspector() func(context.Context, publish.Inspected) error {
	policy := &ws.settings.Licenses
	if !policy.IsSet() {
		return nil
	}
	return func(_ context.Context, image publish.Inspected) error {
		return refusedLicenses(policy, image.Target.ID, image.SBOM)
	}
}

// refusedLicenses is an error that names the components of an image that the policy refuses.
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
