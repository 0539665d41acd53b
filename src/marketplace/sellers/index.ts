export { addSeller, checkSeller, mustBe, openClaimed, openToken, pauseSeller, rejectToken, resumeSeller, rotateTokens, unknownSeller, unreadableSecrets, type AccountDeps, type By, type Rotated } from './accounts.ts';
export { SELLER_STATUSES, type Seller, type SellerStatus } from './seller.ts';
export { selectSeller, selectSellers } from './sellers.sql.ts';
export { tokenContext, webhookContext } from './token-context.ts';
