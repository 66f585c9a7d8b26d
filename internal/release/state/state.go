// Package state compares the catalogue with the OCI layout and the registries. It writes to
// neither.
package state

// State is the state of an image or a release, or the result of a run for it. The commands
// build, plan, status, check, verify and push share this one vocabulary.
type State string

// States of a published release, compared with the catalogue.
const (
	Published    State = "published"     // the record verifies and names the same image keys, and all tags point to its digests
	NotPublished State = "not published" // there is no record
	Incomplete   State = "incomplete"    // the record and the tags are right; an attachment is missing
	NotTagged    State = "not tagged"    // the record is right, an image has no tag
	Moved        State = "moved"         // a tag points to something else than what was signed for it
	NotSigned    State = "not signed"    // the record names the same keys, and its signature is missing or by another signer
	OtherContent State = "other content" // the record names other keys, or an image's tag is taken
	NotValid     State = "not valid"     // an attachment exists and does not verify
	Broken       State = "broken"        // the definition cannot be evaluated
	Unknown      State = "unknown"       // a registry does not answer
	Verified     State = "verified"
	Withdrawn    State = "withdrawn" // it verifies, and its signer has withdrawn it
)

// Results of a run for an image or a release.
const (
	Built      State = "built"
	Unchanged  State = "unchanged" // it existed before the run
	Skipped    State = "skipped"   // no system supports it
	Failed     State = "failed"
	Attached   State = "attached"   // missing attachments were attached again
	Signed     State = "signed"     // signed again, with the present key
	Tagged     State = "moved"      // a moving tag
	Reinstated State = "reinstated" // a release whose withdrawal was taken back
	Held       State = "held"       // pushed by digest, without a tag: its release is not complete
	DryRun     State = "dry-run"    // a run without --dry-run would do something
)

// Action is what build or push would do with an image. The commands plan and status print
// it.
type Action string

const (
	ToBuild   Action = "build"   // it is neither in the layout nor published, or its key changed
	ToPush    Action = "push"    // it is built, and not published
	ToSign    Action = "sign"    // it is NotSigned; built again if the layout lacks it, and compared
	ToAttach  Action = "attach"  // it is Incomplete
	ToTag     Action = "tag"     // it is NotTagged
	ToRefuse  Action = "refuse"  // OtherContent
	ToPutBack Action = "moved"   // Moved: push refuses
	ToUnknown Action = "unknown" // Unknown
	ToFail    Action = "fail"    // its definition is wrong
	ToNothing Action = "nothing"
)
