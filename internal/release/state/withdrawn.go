package state

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/withdrawn"
)

// Withdrawals are the withdrawn releases in the newest verified statement that is attached to a
// release record or an image.
type Withdrawals struct {
	withdrawn.Statement
	By      string    // the key or the identity that signed it
	Signed  time.Time // time of the signature, if a service dated it; otherwise zero
	Refused bool      // statements are attached, and none verifies or can be read
}

// ReadWithdrawals reads the newest statement that is attached to a record or to an image. It
// ignores statements of other apps and variants. Without a statement, only Refused can be set.
// Errors are those of a registry.
func ReadWithdrawals(ctx context.Context, signing *Signing, view *sign.Attachments, subject name.Digest) (Withdrawals, error) {
	may, err := view.MayHave(ctx, signing.Policy, withdrawn.PredicateType)
	if err != nil || !may {
		return Withdrawals{}, Explained(err)
	}
	statements, err := view.VerifyAttestations(ctx, withdrawn.PredicateType, signing.Policy)
	if IsUnsigned(err) || sign.IsUnread(err) {
		claims, err := view.Claims(ctx, signing.Policy, withdrawn.PredicateType)
		return Withdrawals{Refused: claims}, Explained(err)
	}
	if err != nil {
		return Withdrawals{}, Explained(err)
	}
	var newest Withdrawals
	refused := false
	for _, signed := range statements {
		read, err := withdrawn.ReadStatement(signed.Predicate)
		if err != nil || !isOf(read, path.Base(subject.Context().RepositoryStr())) {
			refused = true
			continue
		}
		if read.Version > newest.Version {
			newest = Withdrawals{Statement: *read, By: signed.Signature.By(), Signed: signed.Signature.Time}
		}
	}
	newest.Refused = refused && newest.Version == 0
	return newest, nil
}

// isOf reports whether a statement is about the releases or images in a repository.
func isOf(s *withdrawn.Statement, repository string) bool {
	return repository == s.App+"-"+s.Variant || strings.HasPrefix(repository, s.App+"-") && strings.HasSuffix(repository, "-"+s.Variant)
}

// A WithdrawnError means that a release verifies, and that its signer has withdrawn it.
type WithdrawnError struct {
	Reference string    // of the release or image, registry included
	Reason    string    // from the statement, on one line
	Date      string    // of the withdrawal, YYYY-MM-DD
	By        string    // the key or the identity that signed the statement
	Signed    time.Time // time of the signature, if a service dated it; otherwise zero
	Instead   string    // the newest release that is not withdrawn, in the same repository; "" for none
}

func (e *WithdrawnError) Error() string {
	return fmt.Sprintf("%s was withdrawn on %s by %s: %s", e.Reference, e.Date, e.By, e.Reason)
}

// AsWithdrawn returns the WithdrawnError in an error, or nil if there is none.
func AsWithdrawn(err error) *WithdrawnError {
	var e *WithdrawnError
	errors.As(err, &e)
	return e
}

// check returns a *WithdrawnError, with its fix, if the release with a tag is withdrawn. The
// error names reference; its repository is searched for a release to use instead.
func (w Withdrawals) check(ctx context.Context, client *registry.Client, reference name.Reference, tag string) error {
	said := w.Find(tag)
	if said == nil {
		return nil
	}
	e := &WithdrawnError{Reference: reference.String(), Reason: said.Reason, Date: said.Date, By: w.By, Signed: w.Signed}
	fix := "there is no release to use instead"
	if tags, err := client.TagsOf(ctx, reference.Context()); err != nil {
		fix = "use a newer release"
	} else if left := w.left(tags); len(left) > 0 {
		e.Instead = reference.Context().Tag(left[0]).String()
		fix = "use " + e.Instead
	}
	return &fault.Fault{Err: e, Fix: fix}
}

// CheckWithdrawn returns a *WithdrawnError, with its fix, if the release or image that a
// reference names is withdrawn. It does not verify the release. Other errors are those of a
// registry.
func CheckWithdrawn(ctx context.Context, client *registry.Client, signing *Signing, reference name.Reference) error {
	got, err := client.Get(ctx, reference)
	if err != nil {
		return err
	}
	as, err := signedAs(got.Content)
	if err != nil {
		return err
	}
	digest := reference.Context().Digest(got.Digest.String())
	said, err := ReadWithdrawals(ctx, signing, signing.Client.Attachments(digest), digest)
	if err != nil {
		return err
	}
	return said.check(ctx, client, reference, as.Tag)
}

// NotWithdrawn returns the reference of a release or, if that is withdrawn, of the newest
// release that is not. Errors are those of CheckWithdrawn: a *WithdrawnError if all releases
// are withdrawn.
func NotWithdrawn(ctx context.Context, client *registry.Client, signing *Signing, release name.Reference) (name.Reference, error) {
	err := CheckWithdrawn(ctx, client, signing, release)
	if withdrawn := AsWithdrawn(err); withdrawn != nil && withdrawn.Instead != "" {
		return client.Parse(withdrawn.Instead)
	}
	return release, err
}

// left returns the tags of the releases that are not withdrawn, the newest first.
func (w Withdrawals) left(tags []string) []string {
	return slices.DeleteFunc(ReleaseTags(tags), func(tag string) bool { return w.Find(tag) != nil })
}

// Withdrawal returns a release's entry in the catalogue's list, or nil if the release is not
// withdrawn.
func (r *Reader) Withdrawal(rel *Release) *withdrawn.Release {
	return r.Withdrawn.Find(rel.App.Name, rel.Ref().Tag)
}

// Statement returns the statement of the withdrawn releases of an app's variant that the
// registries should have.
func (r *Reader) Statement(rel *Release, version int) *withdrawn.Statement {
	return withdrawn.NewStatement(r.Withdrawn, rel.App.Name, rel.Variant, version)
}

// wantWithdrawals returns the statement that a record should have. If nothing is withdrawn,
// none is needed.
func (r *Reader) wantWithdrawals(rel *Release) sign.Wanted {
	said := r.Statement(rel, 0).Digest()
	return sign.Wanted{
		Kind: withdrawn.PredicateType,
		Is:   func(labels []string) bool { return newestLabel(labels) == said },
		Label: func(s *sign.Statement) string {
			read, err := withdrawn.ReadStatement(s.Predicate)
			if err != nil {
				return ""
			}
			return Label(read.Version, read.Digest())
		},
	}
}

// looksForWithdrawals reports whether to compare the withdrawals at a record. They are in the
// list of attachments that has the signature. In the format Classic they are in another list,
// which is read only if the catalogue has a list, even an empty one.
func (r *Reader) looksForWithdrawals() bool {
	return r.Withdrawn != nil || !r.Signing.Policy.IsClassic()
}

// saysOtherwise reports whether the newest statement that is attached to a record differs from
// the catalogue's list. It uses the list of attachments that view has read already.
func (r *Reader) saysOtherwise(ctx context.Context, view *sign.Attachments, rel *Release) (bool, error) {
	if !r.looksForWithdrawals() {
		return false, nil
	}
	missing, err := view.Missing(ctx, r.Signing.Policy, r.wantWithdrawals(rel))
	return len(missing) > 0, Explained(err)
}

// sayAgain returns the fix if a registry's statement differs from the catalogue's list.
func (r *Release) sayAgain() string {
	return fmt.Sprintf("publish it with: libre push '%s/*/%s'", r.App.Name, r.Variant)
}

// addWithdrawals adds a release's withdrawal, and those of earlier releases, from the
// catalogue's list.
func (r *Reader) addWithdrawals(rel *Release, there Remote, status *Status) {
	status.Withdrawn = r.Statement(rel, 0).Withdrawn
	this := r.Withdrawal(rel)
	switch {
	case there.SaysOtherwise && there.State == Published:
		status.State = Incomplete
		status.Reason = "the registry does not say of withdrawn releases what " + withdrawn.File + " says: " + rel.sayAgain()
		status.Fix = rel.sayAgain()
	case this != nil && there.State == Published:
		status.State = Withdrawn
		status.Reason = fmt.Sprintf("withdrawn on %s: %s", this.Date.Format(time.DateOnly), this.Reason)
	case this != nil && there.State == NotPublished:
		status.Reason = "it is withdrawn, so push refuses it: " + this.Reason
	case len(status.Withdrawn) > 0 && status.Reason == "":
		status.Reason = "withdrawn releases: " + text.Enumerate(r.Statement(rel, 0).Tags(), ", ", mostNamed)
	}
}

// mostNamed is the number of withdrawn releases that a line names.
const mostNamed = 5

// Refusal returns an error, with its fix, if the catalogue's list has a release that is not
// published: it must not be published.
func (r *Reader) Refusal(rel *Release) error {
	said := r.Withdrawal(rel)
	if said == nil {
		return nil
	}
	return Refused(said, rel.Ref())
}

// Refused returns the error, with its fix, for a release in the catalogue's list.
func Refused(said *withdrawn.Release, release catalog.Ref) error {
	return &fault.Fault{
		Err: fmt.Errorf("%s is withdrawn, in %s: %s", release, withdrawn.File, said.Reason),
		Fix: fmt.Sprintf("raise the version with %q, or take it back with \"libre withdraw --undo %s %s\"", RepackCommand(said.App), said.App, said.Tag),
	}
}
