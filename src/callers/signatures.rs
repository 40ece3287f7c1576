//! Signatures of tokens, checked by ring, which TLS brings along.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{self, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature as by;

static BY_RING: CryptoProvider = CryptoProvider {
    signer_factory: refuse_to_sign,
    verifier_factory: verifier,
    // They are for who makes keys.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Another one that is installed already does as well.
pub fn install() {
    let _ = BY_RING.install_default();
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the crate asks for it")]
fn refuse_to_sign(_: &Algorithm, _: &EncodingKey) -> errors::Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the crate asks for it")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> errors::Result<Box<dyn JwtVerifier>> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(ByRing {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

struct ByRing {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for ByRing {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for ByRing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match (kind(self.algorithm), self.key.kind()) {
            (Some(Kind::Rsa(parameters)), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let (n, e) = (without_zeros(n), without_zeros(e));
                by::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Some(Kind::Curve(algorithm)), DecodingKeyKind::SecretOrDer(point)) => {
                by::UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
            _ => return Err(signature::Error::new()),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

enum Kind {
    Rsa(&'static by::RsaParameters),
    Curve(&'static dyn by::VerificationAlgorithm),
}

/// None for those that serin does not take.
fn kind(algorithm: Algorithm) -> Option<Kind> {
    match algorithm {
        Algorithm::RS256 => Some(Kind::Rsa(&by::RSA_PKCS1_2048_8192_SHA256)),
        Algorithm::RS384 => Some(Kind::Rsa(&by::RSA_PKCS1_2048_8192_SHA384)),
        Algorithm::RS512 => Some(Kind::Rsa(&by::RSA_PKCS1_2048_8192_SHA512)),
        Algorithm::PS256 => Some(Kind::Rsa(&by::RSA_PSS_2048_8192_SHA256)),
        Algorithm::PS384 => Some(Kind::Rsa(&by::RSA_PSS_2048_8192_SHA384)),
        Algorithm::PS512 => Some(Kind::Rsa(&by::RSA_PSS_2048_8192_SHA512)),
        Algorithm::ES256 => Some(Kind::Curve(&by::ECDSA_P256_SHA256_FIXED)),
        Algorithm::ES384 => Some(Kind::Curve(&by::ECDSA_P384_SHA384_FIXED)),
        Algorithm::EdDSA => Some(Kind::Curve(&by::ED25519)),
        _ => None,
    }
}

/// Some issuers write them before a number, and ring wants none.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
