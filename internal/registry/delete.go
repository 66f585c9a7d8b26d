package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/fault"
)

// Delete deletes a manifest or a tag. With a manifest, most registries delete the tags that
// point to it. The registry's garbage collection frees the space later. If there is no such
// manifest or tag, the error is ErrNotFound.
func (c *Client) Delete(ctx context.Context, reference name.Reference) error {
	err := c.remove(ctx, reference)
	if err == nil {
		return nil
	}
	doing, host := "deleting "+reference.String(), reference.Context().RegistryStr()
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		if hasStatus(err, status) {
			return &fault.Fault{Doing: doing, Err: errors.New("the registry does not delete"), Fix: "allow it in the settings of the registry; for the registry of CNCF Distribution: REGISTRY_STORAGE_DELETE_ENABLED=true"}
		}
	}
	return explain(doing, host, err)
}
