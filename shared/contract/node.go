package contract

// ReportVersion is the format of Report.
const ReportVersion = 1

// Report is what a gateway node says of itself every ReportPeriod, and as soon
// as its watermark advances, but not twice within ReportSpacing: the newest
// nonce, and how far it has come.
type Report struct {
	V         int     `json:"v"`
	Node      string  `json:"node"`
	Process   string  `json:"process,omitempty"` // chosen at random when it starts; "" from versions that know none
	Nonce     string  `json:"nonce"`             // never used before, not by an earlier life of the node either
	Address   string  `json:"address"`
	Version   string  `json:"version"` // of the program
	Epoch     uint64  `json:"epoch"`
	Applied   uint64  `json:"applied"` // watermark: nothing up to this number is missing
	Head      uint64  `json:"head"`    // newest head it has heard of
	AgeMillis float64 `json:"age_ms"`  // view age; negative while the node has never been fresh
	Degraded  bool    `json:"degraded"`
}

// Reporter is whom a report is from, and under which a head echoes its nonce:
// a process and not just a node, as two may have been given one node's id. Ids
// hold no slash.
func Reporter(node, process string) string {
	if process == "" {
		return node
	}
	return node + "/" + process
}

// HeadVersion is the newest format of Head that this code understands.
const HeadVersion = 1

// Head is the sequencer's word that Last was the number of the newest
// committed revocation when it looked into the database, after it had received
// the nonces. It is signed (see shared/revocation).
type Head struct {
	V         int               `json:"v"`
	Sequencer string            `json:"sequencer"`
	Epoch     uint64            `json:"epoch"`
	Last      uint64            `json:"last"`
	Oldest    uint64            `json:"oldest"` // numbers below no longer matter to anyone
	Nodes     int               `json:"nodes"`  // how many the sequencer knows of, for ReportPeriod
	Nonces    map[string]string `json:"nonces"` // by Reporter
}

// RepairRequest asks for the numbers From to To of an epoch. The answer is one
// signed batch that starts at From, or at the oldest number still alive if
// that is later, and may end before To.
type RepairRequest struct {
	Node  string `json:"node"`
	Epoch uint64 `json:"epoch"`
	From  uint64 `json:"from"`
	To    uint64 `json:"to"`
}

// WakeRequest tells the active sequencer that these rows are committed.
type WakeRequest struct {
	IDs []string `json:"ids"`
}

// WakeAnswer gives the highest number among the rows of a WakeRequest, once
// all of them have one.
type WakeAnswer struct {
	Epoch  uint64 `json:"epoch"`
	Number uint64 `json:"number"`
	Error  string `json:"error,omitempty"`
}
