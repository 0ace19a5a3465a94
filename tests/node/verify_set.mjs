// Verifies Security Event Tokens with a library of another author: stdin is {tokens, jwks, issuer, audience} as JSON,
// stdout an array of {header, claims}. Ends with 1 where one does not hold.
import { createLocalJWKSet, jwtVerify } from 'jose'
import { text } from 'node:stream/consumers'

const { tokens, jwks, issuer, audience } = JSON.parse(await text(process.stdin))
const keys = createLocalJWKSet(jwks)
const verified = await Promise.all(
  tokens.map(async (token) => {
    const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer, audience, typ: 'secevent+jwt' })
    return { header: protectedHeader, claims: payload }
  }),
)
console.log(JSON.stringify(verified))
