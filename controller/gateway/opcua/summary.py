"""What the server counts of itself: the ServerDiagnosticsSummary (OPC UA part 5, 12.9)."""

from asyncua import ua

Status = ua.StatusCodes
COUNT_MAX = 0xFFFFFFFF
# Refusals that a client without the right certificate, password, token or role gets.
_SECURITY = frozenset(
    {
        Status.BadApplicationSignatureInvalid,
        Status.BadCertificateInvalid,
        Status.BadCertificateUriInvalid,
        Status.BadIdentityChangeNotSupported,
        Status.BadIdentityTokenInvalid,
        Status.BadIdentityTokenRejected,
        Status.BadNonceInvalid,
        Status.BadSecureChannelIdInvalid,
        Status.BadSecurityChecksFailed,
        Status.BadSecurityPolicyRejected,
        Status.BadSessionIdInvalid,
        Status.BadSessionNotActivated,
        Status.BadUserAccessDenied,
    }
)


class Summary:
    """Counts since the server's start, each full at 2^32 - 1."""

    def __init__(self) -> None:
        self.counts = ua.ServerDiagnosticsSummaryDataType()

    def add(self, *names: str) -> None:
        """Count one more of each."""
        for name in names:
            setattr(self.counts, name, min(getattr(self.counts, name) + 1, COUNT_MAX))

    def refused(self, status: int, joining: bool) -> None:
        """Count a refused request; `joining`: it was to create or activate a session."""
        security = status in _SECURITY
        self.add("RejectedRequestsCount")
        if security:
            self.add("SecurityRejectedRequestsCount")
        if joining:
            self.add("RejectedSessionCount")
        if joining and security:
            self.add("SecurityRejectedSessionCount")
